//! Dead connections, servers that are down, and how fast they are found again.

use super::*;

#[tokio::test]
async fn dead_idle_backends_are_closed_and_the_next_is_taken() {
    let (pools, servers) = pools(4);
    let mut leases = Vec::new();
    for session in 1..=3 {
        leases.push(pools.acquire(&Key(0, 0), &asker(session), soon()).await.unwrap());
    }
    leases[1].alive.store(false, Ordering::SeqCst);
    leases[2].alive.store(false, Ordering::SeqCst);
    leases.into_iter().for_each(Lease::give_back);
    let lease = pools.acquire(&Key(0, 0), &asker(4), soon()).await.unwrap();
    assert_eq!(lease.number, 0);
    assert_eq!(servers.server(0).open.load(Ordering::SeqCst), 1);
    let now = only(&pools);
    assert_eq!((now.size, now.keys[0].closed[CloseReason::Dead as usize]), (1, 2));
}

#[tokio::test]
async fn a_dead_backend_of_another_worker_is_found_before_it_moves() {
    let (pools, _servers) = pools(4);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    lease.moves_fail.store(true, Ordering::SeqCst);
    lease.alive.store(false, Ordering::SeqCst);
    lease.give_back();
    let other = Asker { worker: WorkerId(1), ..asker(2) };
    let lease = pools.acquire(&Key(0, 0), &other, soon()).await.unwrap();
    assert_eq!((lease.number, lease.moves), (1, 0));
    // One that cannot move is closed like a dead one.
    lease.moves_fail.store(true, Ordering::SeqCst);
    lease.give_back();
    assert_eq!(pools.acquire(&Key(0, 0), &asker(3), soon()).await.unwrap().number, 2);
    assert_eq!(only(&pools).keys[0].closed[CloseReason::Dead as usize], 2);
}

#[tokio::test]
async fn a_dead_backend_that_is_handed_over_is_opened_anew_in_its_place() {
    let (pools, _servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let next = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(2), soon()).await.map(|lease| lease.number) })
    };
    settle().await;
    lease.alive.store(false, Ordering::SeqCst);
    lease.give_back();
    assert_eq!(next.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_left_alone_while_others_work() {
    let (pools, servers) = pools(4);
    servers.set(0, Mood::Refuses);
    let first = pools.acquire(&Key(0, 0), &asker(1), soon()).await.err().unwrap();
    assert!(matches!(first, AcquireError::Connect { source: ConnectError::Unreachable(_), .. }));
    for session in 2..1000 {
        let error = pools.acquire(&Key(0, 0), &asker(session), soon()).await.err().unwrap();
        assert!(matches!(error, AcquireError::Down { shard: ShardId(0), .. }));
        assert!(pools.acquire(&Key(1, 0), &asker(session), soon()).await.is_ok());
    }
    assert_eq!(servers.server(0).attempts.load(Ordering::SeqCst), 1);
    // One probe: in ten seconds about 25 attempts, however many ask.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let attempts = servers.server(0).attempts.load(Ordering::SeqCst);
    assert!((20..40).contains(&attempts), "{attempts}");
    assert_eq!(pools.shards()[0].down.as_deref(), Some("cannot reach the server: refused"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_is_used_within_a_second_by_itself() {
    for mood in [Mood::Refuses, Mood::Hangs] {
        for moment in (0..4000).step_by(173) {
            let (pools, servers) = pools(4);
            servers.set(0, mood);
            assert!(pools.acquire(&Key(0, 0), &asker(1), soon()).await.is_err());
            tokio::time::sleep(Duration::from_millis(moment)).await;
            servers.set(0, Mood::Well);
            let back = Instant::now();
            loop {
                match pools.acquire(&Key(0, 0), &asker(2), soon()).await {
                    Ok(lease) => break lease.give_back(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
            assert!(back.elapsed() < Duration::from_millis(500), "{mood:?}: {:?}", back.elapsed());
            assert_eq!(only(&pools).down, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_refused_when_the_server_goes_down() {
    let (pools, servers) = pools(1);
    let lease = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let waiters: Vec<_> = (2..6)
        .map(|session| {
            let pools = Arc::clone(&pools);
            tokio::spawn(async move { pools.acquire(&Key(0, 0), &asker(session), soon()).await.err().unwrap() })
        })
        .collect();
    settle().await;
    servers.set(0, Mood::Refuses);
    let start = Instant::now();
    lease.close(CloseReason::Broken);
    for waiter in waiters {
        assert!(matches!(waiter.await.unwrap(), AcquireError::Down { .. } | AcquireError::Connect { .. }));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(only(&pools).size, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shard_nobody_wants_is_not_probed_for_ever_and_is_tried_when_wanted_again() {
    let (pools, servers) = pools(1);
    servers.set(0, Mood::Refuses);
    assert!(pools.acquire(&Key(0, 0), &asker(1), soon()).await.is_err());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let attempts = servers.server(0).attempts.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(servers.server(0).attempts.load(Ordering::SeqCst), attempts);
    servers.set(0, Mood::Well);
    assert!(pools.acquire(&Key(0, 0), &asker(2), soon()).await.is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_no_outage() {
    let (pools, servers) = pools(2);
    servers.set(0, Mood::WrongPassword);
    for session in 1..4 {
        let error = pools.acquire(&Key(0, 0), &asker(session), soon()).await.err().unwrap();
        assert!(matches!(error, AcquireError::Connect { source: ConnectError::Rejected { code: 1045, .. }, .. }));
    }
    let now = only(&pools);
    assert_eq!((now.down, now.size, now.connect_errors_total), (None, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_connection_attempt_ends_at_its_own_limit() {
    let (pools, servers) = pools(2);
    servers.set(0, Mood::Hangs);
    let start = Instant::now();
    let far = start + Duration::from_secs(60);
    let error = pools.acquire(&Key(0, 0), &asker(1), far).await.err().unwrap();
    assert_eq!(error, AcquireError::Connect { shard: ShardId(0), source: ConnectError::TimedOut });
    assert!(start.elapsed() <= Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_session_with_little_time_left_does_not_declare_the_server_down() {
    let (pools, servers) = pools(2);
    *servers.delay.lock().unwrap() = Duration::from_millis(200);
    let near = Instant::now() + Duration::from_millis(50);
    assert!(pools.acquire(&Key(0, 0), &asker(1), near).await.is_err());
    assert_eq!(only(&pools).down, None);
    assert!(pools.acquire(&Key(0, 0), &asker(2), soon()).await.is_ok());
}
