"""Task "stdp": spiking networks that learn by spike-timing-dependent plasticity."""
