"""What `train` and `lineage` say of models that were trained: how it went, and how their exams went."""
