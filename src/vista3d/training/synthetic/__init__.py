"""Synthetic data: painted lesions, CTs drawn from label maps, and an adapter for MAISI (stage 4).

- `lesions`: paint_lesions, into a real CT and its labels; `lesion_types` and `lesion_kinds` say
  what is painted, `lesion_shapes`, `lesion_places` and `lesion_looks` how, `phase` what contrast
  the scan has.
- `resynthesis`: HU for tissue codes; `tissues` is its table, `body` what lies around the structures
  of a label map, `noise` its grain.
- `maisi`: the same by MAISI's networks; `maisi_checkpoint` loads them.
- `scan`: all that for a label map on any grid.
"""
