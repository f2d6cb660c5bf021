"""Electrophysiology of models: gratings in, tuning curves and their distributions out.

``stimuli`` draws, ``protocol`` lists what is shown, ``recording`` finds units and records them,
``properties`` measures, ``distributions`` and ``score`` compare with macaque V1.
"""
