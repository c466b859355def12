//! Age, idleness, the minimum, settings that change, shutting down, and what is outside the cap.

use super::*;

fn with(settings: PoolSettings) -> (Arc<Pools<Fake>>, Arc<Servers>) {
    let servers = Arc::new(Servers::default());
    (Pools::new(Fake(Arc::clone(&servers)), settings, 2), servers)
}

#[tokio::test(start_paused = true)]
async fn idle_backends_are_closed_down_to_the_minimum() {
    let settings =
        PoolSettings { size_max: 8, size_min: 2, idle_max: Duration::from_secs(10), ..PoolSettings::default() };
    let (pools, servers) = with(settings);
    let task = tokio::spawn(Arc::clone(&pools).upkeep());
    let mut leases = Vec::new();
    for session in 1..=6 {
        leases.push(pools.acquire(&Key(0, 0), &asker(session), soon()).await.unwrap());
    }
    leases.into_iter().for_each(Lease::give_back);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 6);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 2);
    assert_eq!(only(&pools).keys[0].closed[CloseReason::Idle as usize], 4);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_opened_again_after_backends_were_lost() {
    let (pools, servers) = with(PoolSettings { size_min: 3, ..PoolSettings::default() });
    let task = tokio::spawn(Arc::clone(&pools).upkeep());
    pools.warm(&Key(0, 0), WorkerId(0)).await.unwrap();
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 3);
    drop(pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(only(&pools).keys[0].idle, 3);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn old_backends_are_closed_idle_or_not_and_not_all_at_the_same_time() {
    let settings = PoolSettings {
        size_max: 50,
        age_max: Duration::from_secs(100),
        age_jitter_percent: 20,
        ..PoolSettings::default()
    };
    let (pools, servers) = with(settings);
    let task = tokio::spawn(Arc::clone(&pools).upkeep());
    let mut leases = Vec::new();
    for session in 1..=50 {
        leases.push(pools.acquire(&Key(0, 0), &asker(session), soon()).await.unwrap());
    }
    let held = leases.pop().unwrap();
    leases.into_iter().for_each(Lease::give_back);
    tokio::time::sleep(Duration::from_secs(79)).await;
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 50);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let half = servers.server(0).open.load(Ordering::SeqCst);
    assert!((10..40).contains(&half), "{half}");
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 1);
    held.give_back();
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 0);
    task.abort();
}

#[tokio::test]
async fn a_cap_that_is_raised_lets_waiters_in_and_one_that_is_lowered_closes_what_comes_back() {
    let (pools, servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let waiter = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap() })
    };
    settle().await;
    pools.set_settings(PoolSettings { size_max: 3, ..PoolSettings::default() });
    let second = waiter.await.unwrap();
    pools.acquire(&Key(0, 0), &asker(3), soon()).await.unwrap().give_back();
    pools.set_settings(PoolSettings { size_max: 1, ..PoolSettings::default() });
    lease.give_back();
    second.give_back();
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 1);
    assert_eq!(only(&pools).size, 1);
}

#[tokio::test]
async fn retired_backends_are_not_used_again() {
    let (pools, servers) = pools(4);
    let held = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap().give_back();
    pools.retire(ShardId(0));
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 1);
    held.give_back();
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 0);
    let fresh = pools.acquire(&Key(0, 0), &asker(3), soon()).await.unwrap();
    fresh.give_back();
    assert_eq!(only(&pools).keys[0].idle, 1);
    assert_eq!(only(&pools).keys[0].closed[CloseReason::Drained as usize], 2);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_refuses_all_and_waits_for_those_who_hold() {
    let (pools, servers) = pools(1);
    let task = tokio::spawn(Arc::clone(&pools).upkeep());
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let waiter = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(2), soon()).await.err() })
    };
    settle().await;
    pools.shut_down();
    assert_eq!(waiter.await.unwrap(), Some(AcquireError::ShuttingDown));
    assert_eq!(pools.acquire(&Key(0, 0), &asker(3), soon()).await.err(), Some(AcquireError::ShuttingDown));
    assert_eq!(pools.acquire(&Key(7, 0), &asker(3), soon()).await.err(), Some(AcquireError::ShuttingDown));
    assert_eq!(pools.drained(Instant::now() + Duration::from_secs(1)).await, 1);
    lease.give_back();
    assert_eq!(pools.drained(soon()).await, 0);
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 0);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_backend_set_aside_counts_to_the_cap_until_it_is_resolved() {
    let (pools, _servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let aside = lease.quarantine();
    assert_eq!(pools.backends()[0].state, BackendState::Quarantined);
    let near = Instant::now() + Duration::from_millis(10);
    assert!(pools.acquire(&Key(0, 0), &asker(2), near).await.is_err());
    aside.release().give_back();
    let lease = pools.acquire(&Key(0, 0), &asker(2), soon()).await.unwrap();
    assert_eq!(lease.number, 0);
    lease.quarantine().close(CloseReason::NotClean);
    assert_eq!(only(&pools).size, 0);
}

#[tokio::test]
async fn reserved_connections_work_when_the_pool_is_full_and_have_their_own_limit() {
    let (pools, servers) = pools(1);
    let settings = PoolSettings { size_max: 1, reserved_max: 2, ..PoolSettings::default() };
    pools.set_settings(settings);
    let _lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let one = pools.reserved(&Key(0, 0), soon()).await.unwrap();
    let _two = pools.reserved(&Key(0, 0), soon()).await.unwrap();
    assert_eq!(pools.reserved(&Key(0, 0), soon()).await.err(), Some(AcquireError::QueueFull { shard: ShardId(0) }));
    assert_eq!((only(&pools).reserved, only(&pools).size), (2, 1));
    drop(one);
    assert!(pools.reserved(&Key(0, 0), soon()).await.is_ok());
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn backends_are_listed_with_who_holds_them() {
    let (pools, _servers) = pools(4);
    let lease = pools.acquire(&Key(3, 1), &asker(42), soon()).await.unwrap();
    pools.acquire(&Key(3, 1), &asker(43), soon()).await.unwrap().give_back();
    let list = pools.backends();
    assert_eq!((list[0].id, list[0].session, list[0].state), (lease.id(), Some(42), BackendState::Leased));
    assert_eq!((list[1].session, list[1].state, list[1].leases), (None, BackendState::Idle, 1));
    assert_eq!(CloseReason::ALL.map(|reason| reason as usize), [0, 1, 2, 3, 4, 5, 6]);
}
