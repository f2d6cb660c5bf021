"""Electrophysiology of models: gratings in, tuning curves and their distributions out.

``stimuli`` draws, ``protocol`` lists what is shown, ``receptive_fields`` finds units, ``recording``
records them (shown as little of the pictures as ``windows`` finds enough),
``properties`` measures, ``distributions`` and ``score`` compare with macaque V1.
"""
