//! A pause: who waits, what is closed, what takes it back.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_paused_shard_lends_nothing_opens_nothing_and_keeps_nothing() {
    let (pools, servers) = pools(2);
    pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap().give_back();
    let held = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let pausing = {
        let pools = Arc::clone(&pools);
        tokio::spawn(async move { pools.pause(ShardId(0), soon()).await })
    };
    settle().await;
    assert!(!pausing.is_finished() && only(&pools).paused);
    let door = pools.door(&Key(0, 0)).unwrap();
    let (key, second) = (Key(0, 0), asker(2));
    let mut waiting = Box::pin(pools.acquire(&key, &second, soon()));
    assert!(poll_once(&mut waiting).is_pending(), "there is room, but no leave");
    held.give_back();
    assert_eq!(pausing.await.unwrap(), Ok(()));
    assert_eq!((only(&pools).size, servers.server(0).open.load(Ordering::SeqCst)), (0, 0));
    assert!(door.idle(3, WorkerId(0), Instant::now()).is_none());
    assert_eq!(pools.pause(ShardId(0), Instant::now()).await, Ok(()), "it is paused already");
    // Upkeep opens nothing either, and a server that is down meanwhile refuses nobody.
    servers.set(0, Mood::Refuses);
    assert!(pools.warm(&key, WorkerId::NONE).await.is_ok());
    assert!(poll_once(&mut waiting).is_pending());
    servers.set(0, Mood::Well);
    assert!(pools.resume(ShardId(0)) && !pools.any_paused());
    assert!(waiting.await.is_ok());
    assert!(!pools.resume(ShardId(0)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_cannot_be_completed_or_is_given_up_is_taken_back() {
    let (pools, _servers) = pools(1);
    let held = pools.acquire(&Key(0, 0), &asker(1), soon()).await.unwrap();
    let key = Key(0, 0);
    let second = asker(2);
    let mut waiting = Box::pin(pools.acquire(&key, &second, soon() + Duration::from_secs(60)));
    assert!(poll_once(&mut waiting).is_pending());
    let refused = pools.pause(ShardId(0), soon()).await.unwrap_err();
    assert_eq!(refused.in_use, 1);
    assert!(!only(&pools).paused && !pools.any_paused());
    let mut dropped = Box::pin(pools.pause(ShardId(0), soon()));
    assert!(poll_once(&mut dropped).is_pending() && only(&pools).paused);
    drop(dropped);
    assert!(!only(&pools).paused);
    held.give_back();
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_paused_shard_ends_at_its_deadline_and_names_the_pause() {
    let (pools, _servers) = pools(1);
    pools.pause(ShardId(7), Instant::now()).await.unwrap();
    let error = pools.acquire(&Key(7, 0), &asker(1), soon()).await.map(drop).unwrap_err();
    assert!(matches!(error, AcquireError::Paused { shard: ShardId(7), .. }), "{error}");
    // Others go on.
    assert!(pools.acquire(&Key(1, 0), &asker(1), soon()).await.is_ok());
    let both = [ShardId(1), ShardId(7)];
    let mut until = Box::pin(pools.until_resumed(both.into_iter(), soon()));
    assert!(poll_once(&mut until).is_pending());
    pools.resume(ShardId(7));
    until.await;
    assert!(pools.acquire(&Key(7, 0), &asker(1), soon()).await.is_ok());
}
