"""Data curation (paper section 3.3): what is labelled where, checked, prepared once, and completed
by teachers.

    layouts/     how a data set lists its files: nnU-Net raw, MONAI datalist, CSV
    mapping      what its labels mean: local label -> global class, and how it takes part
    splits       who is held out, by patient
    case, cases  the two together: scans with the classes that each of them annotates
    table        the same, for people to read before anything is computed
    check/       what is wrong with the files
    prepared     a case on the model's grid
    store        prepared cases on disk, a crop at a time
    pseudo, reliability, totalsegmentator
                 labels by a teacher model, and which of them to believe
"""
