"""Spiking networks that learn by spike-timing-dependent plasticity."""
