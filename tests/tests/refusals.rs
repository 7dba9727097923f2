//! Bad data never gets through, and leaves no trace.

use end_to_end::Sandbox;

pub(crate) const KINDS: [&str; 5] = ["negative_price", "orphan_line", "null_key", "duplicate_key", "wrong_total"];

#[test]
fn every_corruption_is_refused_and_its_correction_leaves_no_trace() {
    let clean = Sandbox::retail();
    clean.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-03"]).ok();
    let expected = clean.digest();

    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    let before = (sandbox.digest(), sandbox.cycle());
    for kind in KINDS {
        let data = format!("{{\"corrupt\":\"{kind}\"}}");
        sandbox
            .run(&["run", "daily", "--partition", "2025-08-02", "--data", &data])
            .refused("the audit refused partition 2025-08-02");
        assert_eq!((sandbox.digest(), sandbox.cycle()), before, "{kind}");
    }
    // The day after is refused at once, without an attempt, and says why.
    let refused = sandbox.run(&["run", "daily", "--partition", "2025-08-03"]).refused("2025-08-02 was refused");
    assert!(refused.stderr.contains("bgp hold 2025-08-02"), "{}", refused.stderr);
    sandbox.run(&["hold", "2025-08-02", "--reason", "bad totals"]).ok();
    let held = sandbox.day("2025-08-03");
    assert_eq!(held["held"][0], "2025-08-02");
    let deployment = sandbox.run(&["sql", "select held from live.deployment", "--json"]).ok().json();
    assert_eq!(deployment[0]["held"], "2025-08-02");
    // Corrected while held: nothing of it is taken.
    let corrected = sandbox.day("2025-08-02");
    assert_eq!(corrected["outcome"], "already_published");
    sandbox.run(&["release", "2025-08-02"]).ok();
    sandbox.run(&["release", "2025-08-02"]).refused("is not held");
    assert_eq!(sandbox.day("2025-08-02")["outcome"], "published");
    assert_eq!(sandbox.digest(), expected);
}

#[test]
fn personal_columns_are_masked_in_what_a_refusal_prints() {
    let sandbox = Sandbox::with(|text| {
        // A rule that is always broken, on the table with the most personal columns.
        end_to_end::replaced(
            &text,
            "  rules:\n",
            "  rules:\n    - name: nobody_may_register\n      model: dim_customers\n      kind: sql\n      query: select * from {model}\n",
        )
    });
    let refused = sandbox.run(&["run", "daily", "--partition", "2025-08-01"]).refused("nobody_may_register");
    assert!(refused.stderr.contains("\"email\":\"***\""), "{}", refused.stderr);
    assert!(!refused.stderr.contains('@'), "{}", refused.stderr);
}
