"""Reports with the logits they follow from: written whole, read without trust, scored like a store.

    DIR/                              the report: CSV, Markdown, LaTeX, HTML, figures, manifest.json
    DIR/bundle/index.json             names, sizes and digests of all other files, sealed
    DIR/bundle/plan.json              the study, its splits, pools and choices, sealed
    DIR/bundle/members.jsonl          a line a member: its description, as the store has it, sealed
    DIR/bundle/probes.jsonl           a line a probe: what it found, sealed
    DIR/bundle/labels.safetensors     each set of labels once, under its digest
    DIR/bundle/cells/KEY.safetensors  the logits of one pool: SEED.test_logits (sample, class) and so on
    DIR/bundle/histories/KEY.safetensors  what its members recorded, where that was asked for
    DIR/bundle/costs.json             measured costs, where there are some

Logits are not those of the members' own files, which repeat the labels for every member. From a pool's
arrays and the labels such a file is built again to the byte, so the digests that a manifest cites hold here.
"""
