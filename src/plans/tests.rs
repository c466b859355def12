//! The cache on its own: limits, eviction, counts, many threads.

use super::*;
use sharding::lexer::{Dialect, Fingerprint, FingerprintKey};

fn scope(database: &str) -> PlanScope {
    let key = FingerprintKey::from_bytes([7; 16]);
    PlanScope::new(&key, Protocol::MySql, database, &["shop"], 1, Dialect::MYSQL)
}

/// Fingerprints as the lexer makes them: spread over all bits.
fn key(number: u64) -> PlanKey {
    let hash = FingerprintKey::from_bytes([9; 16]).hash(&number.to_le_bytes());
    scope("shop").key(hash)
}

fn label(statement: &str) -> PlanLabel {
    PlanLabel { protocol: Protocol::MySql, database: "shop".into(), kind: "single", statement: statement.into() }
}

#[test]
fn scopes_differ_in_each_of_their_parts() {
    let secret = FingerprintKey::from_bytes([7; 16]);
    let make = |protocol, database, path: &[&str], version, dialect| {
        PlanScope::new(&secret, protocol, database, path, version, dialect)
    };
    let (my, pg) = (Dialect::MYSQL, Dialect::POSTGRES);
    let scopes = [
        make(Protocol::MySql, "shop", &["a"], 1, my),
        make(Protocol::Postgres, "shop", &["a"], 1, my),
        make(Protocol::MySql, "shop2", &["a"], 1, my),
        make(Protocol::MySql, "shop", &["b"], 1, my),
        make(Protocol::MySql, "shop", &["a", "b"], 1, my),
        make(Protocol::MySql, "shop", &["ab"], 1, my),
        make(Protocol::MySql, "shop", &["a"], 2, my),
        make(Protocol::MySql, "shop", &["a"], 1, pg),
    ];
    for (number, scope) in scopes.iter().enumerate() {
        assert!(scopes[number + 1..].iter().all(|other| other != scope), "{number}");
    }
    let print = Fingerprint(5);
    assert_eq!(scopes[0].key(print), scopes[0].key(print));
    assert_ne!(scopes[0].key(print), scopes[1].key(print));
}

#[test]
fn what_was_put_in_is_found_by_every_worker_and_counted() {
    let plans: Plans<u64> = Plans::new(2, 100, 1 << 20);
    assert_eq!(plans.get(0, &key(1)), None);
    plans.insert(key(1), Arc::new(11), 100, label("select ?"));
    plans.insert(key(2), Arc::new(22), 100, label("select 2"));
    for worker in [0, 0, 1, 1, 5] {
        assert_eq!(plans.get(worker, &key(1)).as_deref(), Some(&11));
    }
    let counts = plans.counts();
    assert_eq!((counts.entries, counts.hits, counts.misses, counts.evictions), (2, 5, 1, 0));
    let rows = plans.summaries(10);
    let seen: Vec<(&str, u64)> = rows.iter().map(|row| (row.label.statement.as_str(), row.hits)).collect();
    assert_eq!(seen, [("select ?", 5), ("select 2", 0)]);
    assert_eq!(rows[0].fingerprint, key(1).fingerprint());
    assert_eq!(plans.summaries(1).len(), 1);
}

#[test]
fn a_replaced_plan_is_not_given_out_again() {
    let plans: Plans<u64> = Plans::new(1, 100, 1 << 20);
    plans.insert(key(1), Arc::new(1), 0, label("a"));
    assert_eq!(plans.get(0, &key(1)).as_deref(), Some(&1));
    plans.insert(key(1), Arc::new(2), 0, label("a"));
    assert_eq!(plans.get(0, &key(1)).as_deref(), Some(&2));
    plans.clear();
    assert_eq!(plans.get(0, &key(1)), None);
    assert_eq!((plans.counts().entries, plans.counts().bytes), (0, 0));
}

#[test]
fn entries_and_bytes_are_bounded_and_the_unused_go_first() {
    let plans: Plans<u64> = Plans::new(1, 160, 1 << 20);
    plans.insert(key(0), Arc::new(0), 0, label("hot"));
    for number in 1..5_000 {
        plans.insert(key(number), Arc::new(number), 0, label("cold"));
        assert_eq!(plans.get(0, &key(0)).as_deref(), Some(&0), "the plan in use stays ({number})");
    }
    let counts = plans.counts();
    assert!(counts.entries <= 160, "{}", counts.entries);
    assert!(counts.evictions >= 5_000 - 160);
    let tight: Plans<u64> = Plans::new(1, 100_000, 160_000);
    for number in 0..5_000 {
        tight.insert(key(number), Arc::new(number), 1_000, label("x"));
    }
    assert!(tight.counts().bytes <= 160_000);
    assert!(tight.counts().entries > 16);
    tight.insert(key(9_999), Arc::new(1), 50_000, label("too large for a segment"));
    assert_eq!(tight.get(0, &key(9_999)), None);
    let off: Plans<u64> = Plans::new(1, 0, 1 << 20);
    off.insert(key(1), Arc::new(1), 0, label("x"));
    assert_eq!(off.get(0, &key(1)), None);
}

#[test]
fn new_limits_hold_from_the_next_insertion_on() {
    let plans: Plans<u64> = Plans::new(1, 1_600, 1 << 24);
    for number in 0..1_000 {
        plans.insert(key(number), Arc::new(number), 0, label("x"));
    }
    assert!(plans.counts().entries > 900);
    plans.set_limits(16, 1 << 24);
    for number in 1_000..1_400 {
        plans.insert(key(number), Arc::new(number), 0, label("x"));
    }
    assert!(plans.counts().entries <= 16, "{}", plans.counts().entries);
}

#[test]
fn long_statements_are_shown_shortened() {
    let plans: Plans<u64> = Plans::new(1, 16, 1 << 20);
    plans.insert(key(1), Arc::new(1), 0, label(&"é".repeat(4_000)));
    let rows = plans.summaries(1);
    assert!(rows[0].label.statement.len() <= TEXT_BYTES_MAX + 3);
    assert!(rows[0].label.statement.ends_with("..."));
    assert!(rows[0].bytes < 2 * TEXT_BYTES_MAX);
}

#[test]
fn many_threads_see_right_plans_only() {
    let plans: Arc<Plans<u64>> = Arc::new(Plans::new(4, 320, 1 << 20));
    let threads: Vec<_> = (0..4u16)
        .map(|worker| {
            let plans = Arc::clone(&plans);
            std::thread::spawn(move || {
                let mut state = u64::from(worker) + 1;
                for _ in 0..20_000 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let number = (state >> 33) % 700;
                    match plans.get(worker, &key(number)) {
                        Some(plan) => assert_eq!(*plan, number),
                        None => plans.insert(key(number), Arc::new(number), 10, label("x")),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panicked");
    }
    let counts = plans.counts();
    assert_eq!(counts.hits + counts.misses, 80_000);
    assert!(counts.entries <= 320);
}
