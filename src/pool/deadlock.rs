//! Sessions whose transactions hold backends while they wait for another: who waits for whom, and who must give way.
//! In: the wait-for graph, as a pure function. Out: locks, refusing (`Pools` does both).
//!
//! A session that waits for a shard needs any one of its backends, so it is stuck only if every holder is stuck: a cycle
//! is not enough. The stuck sessions are what is left after taking away, again and again, those that wait for a shard of
//! which somebody can still give something back.

use std::collections::HashMap;

/// A session in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) session: u64,
    pub(super) began: u64,
    /// Index into the holders.
    pub(super) shard: usize,
}

/// Which waits must be refused, so that all others can go on. `holders` lists, for each shard, the sessions that hold its
/// backends; `None` if one of its places is in other hands (being opened, idle, set aside) and will come free.
pub(super) fn victims(holders: &[Option<Vec<u64>>], waits: &[Wait]) -> Vec<usize> {
    let mut refused = Vec::new();
    let mut alive = vec![true; waits.len()];
    loop {
        let stuck = stuck(holders, waits, &alive);
        let victim = (0..waits.len())
            .filter(|&index| stuck.get(index) == Some(&true))
            .filter_map(|index| waits.get(index).map(|wait| (index, wait)))
            .filter(|(_, wait)| {
                waits.iter().zip(&stuck).any(|(other, &other_stuck)| {
                    other_stuck
                        && holders.get(other.shard).and_then(Option::as_ref).is_some_and(|h| h.contains(&wait.session))
                })
            })
            .max_by_key(|(_, wait)| (wait.began, wait.session));
        let Some((index, _)) = victim else { return refused };
        if let Some(alive) = alive.get_mut(index) {
            *alive = false;
        }
        refused.push(index);
    }
}

fn stuck(holders: &[Option<Vec<u64>>], waits: &[Wait], alive: &[bool]) -> Vec<bool> {
    let mut stuck = alive.to_vec();
    // How many waits of a session are stuck; a session waits for one thing at a time, but nothing here depends on it.
    let mut sessions: HashMap<u64, usize> = HashMap::new();
    for (wait, &stuck) in waits.iter().zip(&stuck) {
        *sessions.entry(wait.session).or_default() += usize::from(stuck);
    }
    loop {
        let blocked: Vec<bool> = holders
            .iter()
            .map(|holders| {
                let Some(holders) = holders else { return false };
                !holders.is_empty()
                    && holders.iter().all(|session| sessions.get(session).is_some_and(|&count| count > 0))
            })
            .collect();
        let mut changed = false;
        for (wait, stuck) in waits.iter().zip(&mut stuck) {
            if *stuck && blocked.get(wait.shard) != Some(&true) {
                *stuck = false;
                changed = true;
                if let Some(count) = sessions.get_mut(&wait.session) {
                    *count = count.saturating_sub(1);
                }
            }
        }
        if !changed {
            return stuck;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(session: u64, began: u64, shard: usize) -> Wait {
        Wait { session, began, shard }
    }

    #[test]
    fn two_sessions_crosswise_refuse_the_younger() {
        let holders = [Some(vec![1]), Some(vec![2])];
        assert_eq!(victims(&holders, &[wait(1, 10, 1), wait(2, 20, 0)]), vec![1]);
        assert_eq!(victims(&holders, &[wait(1, 30, 1), wait(2, 20, 0)]), vec![0]);
    }

    #[test]
    fn a_holder_that_runs_means_no_deadlock() {
        let holders = [Some(vec![1, 3]), Some(vec![2])];
        assert!(victims(&holders, &[wait(1, 10, 1), wait(2, 20, 0)]).is_empty());
    }

    #[test]
    fn a_place_in_other_hands_means_no_deadlock() {
        assert!(victims(&[Some(vec![1]), None], &[wait(1, 10, 1), wait(2, 20, 0)]).is_empty());
    }

    #[test]
    fn a_bystander_in_the_queue_is_never_refused() {
        let holders = [Some(vec![1]), Some(vec![2])];
        let waits = [wait(9, 99, 0), wait(1, 10, 1), wait(2, 20, 0)];
        assert_eq!(victims(&holders, &waits), vec![2]);
    }

    #[test]
    fn pools_of_two_are_stuck_only_when_all_holders_are() {
        let holders = [Some(vec![1, 2]), Some(vec![3, 4])];
        let three = [wait(1, 1, 1), wait(2, 2, 1), wait(3, 3, 0)];
        assert!(victims(&holders, &three).is_empty());
        let four = [wait(1, 1, 1), wait(2, 2, 1), wait(3, 3, 0), wait(4, 4, 0)];
        assert_eq!(victims(&holders, &four), vec![3]);
    }

    #[test]
    fn a_session_that_waits_for_itself_is_refused() {
        assert_eq!(victims(&[Some(vec![1])], &[wait(1, 1, 0)]), vec![0]);
    }

    #[test]
    fn two_separate_cycles_each_lose_one() {
        let holders = [Some(vec![1]), Some(vec![2]), Some(vec![3]), Some(vec![4])];
        let waits = [wait(1, 1, 1), wait(2, 2, 0), wait(3, 3, 3), wait(4, 4, 2)];
        let mut refused = victims(&holders, &waits);
        refused.sort_unstable();
        assert_eq!(refused, vec![1, 3]);
    }

    #[test]
    fn a_ring_of_three() {
        let holders = [Some(vec![1]), Some(vec![2]), Some(vec![3])];
        assert_eq!(victims(&holders, &[wait(1, 5, 1), wait(2, 9, 2), wait(3, 7, 0)]), vec![1]);
    }
}
