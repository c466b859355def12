//! Who gets which backend: order, caps, keys, workers, giving up, deadlocks.

use tokio::sync::mpsc;

use super::*;

#[tokio::test]
async fn an_idle_backend_is_used_again_last_one_first() {
    let (pools, servers) = pools(4);
    let first = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let second = pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap();
    assert!(first.is_fresh());
    first.give_back();
    second.give_back();
    let again = pools.acquire(&Key(0, 0), &asker(3), soon()).await.unwrap();
    assert_eq!((again.number, again.is_fresh(), again.moves), (1, false, 0));
    assert_eq!(servers.server(0).attempts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_door_gives_what_is_idle_and_alive_and_nothing_while_somebody_waits() {
    let (pools, _servers) = pools(2);
    let door = pools.door(&Key(0, 0)).unwrap();
    let idle = || door.idle(1, WorkerId(0), Instant::now());
    assert!(idle().is_none(), "nothing was opened yet");
    let first = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let second = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    first.give_back();
    second.alive.store(false, Ordering::SeqCst);
    second.give_back();
    let lease = idle().expect("the first");
    assert_eq!((lease.number, lease.moves), (0, 0));
    assert!(idle().is_none(), "the dead one was closed");
    assert_eq!(only(&pools).keys[0].closed[CloseReason::Dead as usize], 1);
    lease.give_back();
    let moved = door.idle(1, WorkerId(1), Instant::now()).expect("of another worker");
    let last = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let key = Key(0, 0);
    let third = asker(3);
    let mut waiting = Box::pin(pools.acquire(&key, &third, soon()));
    assert!(poll_once(&mut waiting).is_pending());
    assert_eq!(moved.moves, 1);
    moved.give_back();
    assert!(idle().is_none(), "it is the waiter's");
    last.give_back();
    assert!(waiting.await.is_ok());
    assert!(idle().is_some());
}

#[tokio::test]
async fn a_dropped_lease_closes_and_frees() {
    let (pools, servers) = pools(1);
    drop(pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap());
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 0);
    let next = pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap();
    assert_eq!(next.number, 1);
    assert_eq!(only(&pools).keys[0].closed[CloseReason::NotClean as usize], 1);
}

#[tokio::test]
async fn a_backend_that_may_still_be_hit_is_closed_whoever_gives_it_back() {
    let (pools, servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    lease.aimed_at.store(true, Ordering::SeqCst);
    lease.give_back();
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 0);
    assert_eq!(only(&pools).keys[0].closed[CloseReason::NotClean as usize], 1);
    assert_eq!(pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap().number, 1);
}

#[tokio::test]
async fn a_lease_that_is_renewed_keeps_its_place() {
    let (pools, servers) = pools(1);
    pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap().give_back();
    let used = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    assert!(!used.is_fresh());
    let next = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(2), soon()).await.map(|lease| lease.number) })
    };
    settle().await;
    let fresh = used.renew(soon()).await.unwrap();
    assert_eq!((fresh.number, fresh.is_fresh()), (1, true));
    assert_eq!(servers.server(0).open_most.load(Ordering::SeqCst), 1);
    fresh.give_back();
    assert_eq!(next.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_the_order_in_which_they_asked() {
    let (pools, _servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let (sender, mut order) = mpsc::unbounded_channel();
    for session in 2..12 {
        let (pools, sender) = (Arc::clone(&pools), sender.clone());
        tokio::spawn(async move {
            let lease = pools.acquire(&Key(0, 0), &asker(session), soon()).await.unwrap();
            sender.send(session).unwrap();
            // One half gives back, the other half breaks: order holds for a place as for a backend.
            if session % 2 == 0 { lease.give_back() } else { drop(lease) }
        });
        settle().await;
    }
    assert_eq!(only(&pools).waiting, 10);
    lease.give_back();
    for session in 2..12 {
        assert_eq!(order.recv().await, Some(session));
    }
    assert_eq!(only(&pools).waits_total, 10);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gives_up_at_its_deadline_and_leaves_no_trace() {
    let (pools, _servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(300);
    let error = pools.acquire(&Key(0, 0), &asker(2), deadline).await.err().unwrap();
    assert!(matches!(error, AcquireError::WaitedTooLong { waited, .. } if waited >= Duration::from_millis(300)));
    let now = only(&pools);
    assert_eq!((now.waiting, now.wait_timeouts_total), (0, 1));
    lease.give_back();
    assert_eq!(only(&pools).keys[0].idle, 1);
}

#[tokio::test]
async fn a_backend_handed_to_a_waiter_that_is_dropped_goes_to_the_next() {
    let (pools, servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let gone = asker(2);
    let mut dropped = Box::pin(pools.acquire(&Key(0, 0), &gone, soon()));
    assert!(poll_once(&mut dropped).is_pending());
    let next = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(3), soon()).await.map(|lease| lease.number) })
    };
    settle().await;
    lease.give_back();
    // It is handed over, but the future is never polled again.
    drop(dropped);
    assert_eq!(next.await.unwrap().unwrap(), 0);
    assert_eq!(servers.server(0).attempts.load(Ordering::SeqCst), 1);
    assert_eq!(only(&pools).waiting, 0);
}

#[tokio::test]
async fn a_place_handed_to_a_waiter_that_is_dropped_is_not_lost() {
    let (pools, _servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let gone = asker(2);
    let mut dropped = Box::pin(pools.acquire(&Key(0, 0), &gone, soon()));
    assert!(poll_once(&mut dropped).is_pending());
    drop(lease);
    drop(dropped);
    assert_eq!(only(&pools).size, 0);
    assert!(pools.acquire(&Key(0, 0), &asker(3), soon()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_being_opened_frees_its_place_when_the_session_goes() {
    let (pools, servers) = pools(1);
    *servers.delay.lock().unwrap() = Duration::from_secs(1);
    let gone = asker(1);
    let mut opening = Box::pin(pools.acquire(&Key(0, 0), &gone, soon()));
    assert!(poll_once(&mut opening).is_pending());
    assert_eq!(only(&pools).keys[0].opening, 1);
    drop(opening);
    assert_eq!(only(&pools).size, 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_connection_that_is_being_opened_gets_its_place_when_that_session_goes() {
    let (pools, servers) = pools(1);
    *servers.delay.lock().unwrap() = Duration::from_secs(1);
    let gone = asker(1);
    let mut opening = Box::pin(pools.acquire(&Key(0, 0), &gone, soon()));
    assert!(poll_once(&mut opening).is_pending());
    let next = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(2), soon()).await.map(|lease| lease.number) })
    };
    settle().await;
    drop(opening);
    assert_eq!(next.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn who_waits_behind_a_connection_that_is_refused_opens_its_own() {
    let (pools, servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    servers.set(0, Mood::WrongPassword);
    let waiters: Vec<_> = (2..5)
        .map(|session| {
            let pools = Arc::clone(&pools);
            tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(session), soon()).await.err() })
        })
        .collect();
    settle().await;
    drop(lease);
    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), Some(AcquireError::Connect { .. })));
    }
}

#[tokio::test]
async fn another_worker_takes_an_idle_backend_and_registers_it_anew() {
    let (pools, servers) = pools(4);
    pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap().give_back();
    let other = Asker { worker: WorkerId(1), ..asker(2) };
    let stolen = pools.acquire(&Key(0, 0), &other, soon()).await.unwrap();
    assert_eq!((stolen.number, stolen.moves), (0, 1));
    assert_eq!(pools.backends()[0].worker, WorkerId(1));
    stolen.give_back();
    let home = pools.acquire(&Key(0, 0), &other, soon()).await.unwrap();
    assert_eq!(home.moves, 1);
    assert_eq!(servers.server(0).attempts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_idle_backend_of_another_key_makes_room_and_the_cap_holds_over_all_keys() {
    let (pools, servers) = pools(2);
    let one = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let two = pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap();
    one.give_back();
    let other = pools.acquire(&Key(0, 1), &asker(3), soon()).await.unwrap();
    assert_eq!(servers.server(0).open_most.load(Ordering::SeqCst), 2);
    let now = only(&pools);
    assert_eq!((now.size, now.keys[0].closed[CloseReason::MakeRoom as usize]), (2, 1));
    drop((two, other));
}

#[tokio::test]
async fn a_backend_goes_to_the_first_waiter_that_it_fits_but_passes_nobody_for_ever() {
    let (pools, servers) = pools(1);
    let mut lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let other = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { drop(pools.acquire(&Key(0, 1), &asker(2), soon()).await.unwrap()) })
    };
    settle().await;
    let mut passes = 0;
    while !other.is_finished() {
        let same = {
            let pools = Arc::clone(&pools);
            tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(3), soon()).await.unwrap() })
        };
        settle().await;
        lease.give_back();
        settle().await;
        lease = same.await.unwrap();
        passes += 1;
        assert!(passes < 20, "the first waiter was passed over for ever");
    }
    assert_eq!(passes, 9);
    assert_eq!(servers.server(0).open_most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_wait_for_each_other_are_told_at_once_and_the_youngest_gives_way() {
    let (pools, _servers) = pools(1);
    let old = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let young = pools.acquire(&Key(1, 0), &asker(2), soon()).await.unwrap();
    let start = Instant::now();
    let waiting = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move {
            let asker = Asker { holds: &[ShardId(1)], ..asker(2) };
            let result = pools.acquire(&Key(0, 0), &asker, soon()).await;
            drop(young);
            result.map(|lease| lease.number)
        })
    };
    settle().await;
    // The old one closes the circle; the young one, which waits already, is refused.
    let asker = Asker { holds: &[ShardId(0)], ..asker(1) };
    let second = pools.acquire(&Key(1, 0), &asker, soon()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), Err(AcquireError::Deadlock { shard: ShardId(0) }));
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop((old, second));
}

#[tokio::test(start_paused = true)]
async fn the_one_that_closes_the_circle_is_refused_itself_if_it_is_the_youngest() {
    let (pools, _servers) = pools(1);
    let old = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let young = pools.acquire(&Key(1, 0), &asker(2), soon()).await.unwrap();
    let waiting = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move {
            let asker = Asker { holds: &[ShardId(0)], ..asker(1) };
            pools.acquire(&Key(1, 0), &asker, soon()).await.map(|lease| lease.number)
        })
    };
    settle().await;
    let asker = Asker { holds: &[ShardId(1)], ..asker(2) };
    let refused = pools.acquire(&Key(0, 0), &asker, soon()).await.err();
    assert_eq!(refused, Some(AcquireError::Deadlock { shard: ShardId(0) }));
    young.give_back();
    assert_eq!(waiting.await.unwrap(), Ok(0));
    drop(old);
}

#[tokio::test]
async fn one_statement_takes_its_shards_in_order_and_gets_them_as_asked() {
    let (pools, _servers) = pools(1);
    let keys = [Key(2, 0), Key(0, 0), Key(1, 0)];
    let leases = pools.acquire_all(&keys, &asker(1), soon()).await.unwrap();
    let shards: Vec<u32> = leases.iter().map(|lease| lease.shard().0).collect();
    assert_eq!(shards, [2, 0, 1]);
    let ids: Vec<u64> = leases.iter().map(Lease::id).collect();
    assert!(ids[1] < ids[2] && ids[2] < ids[0], "taken in the order of shards");
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_misses_one_shard_gives_the_others_back() {
    let (pools, _servers) = pools(1);
    let held = pools.acquire(&Key(1, 0), &asker(1), soon()).await.unwrap();
    let result = pools.acquire_all(&[Key(0, 0), Key(1, 0)], &asker(2), soon()).await;
    assert!(matches!(result, Err(AcquireError::WaitedTooLong { shard: ShardId(1), .. })));
    assert_eq!(pools.shards()[0].keys[0].idle, 1);
    drop(held);
}

#[tokio::test]
async fn the_queue_has_a_limit() {
    let (pools, _servers) = pools(1);
    pools.set_settings(PoolSettings { size_max: 1, waiters_max: 1, ..PoolSettings::default() });
    let _lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let gone = asker(2);
    let mut waits = Box::pin(pools.acquire(&Key(0, 0), &gone, soon()));
    assert!(poll_once(&mut waits).is_pending());
    let refused = pools.acquire(&Key(0, 0), &asker(3), soon()).await.err();
    assert_eq!(refused, Some(AcquireError::QueueFull { shard: ShardId(0) }));
}
