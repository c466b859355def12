//! Many sessions on several threads that give up, vanish and break things at random, from a seed that a failure prints.

use super::*;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

async fn session(pools: Arc<Pools<Fake>>, number: u64, seed: u64, shards: u32) -> u64 {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 32) | 1);
    let mut served = 0;
    for turn in 0..150 {
        let worker = WorkerId((number % 3) as u16);
        let key = Key(dice.roll(u64::from(shards)) as u32, (dice.roll(5) / 4) as u8);
        let asker = Asker { session: number + 1, worker, began: turn * 100 + number, holds: &[] };
        let patience = Duration::from_micros(dice.roll(3000));
        // Half of the sessions that lose patience drop the future, the others pass a deadline.
        let at_once = pools.door(&key).unwrap().idle(number + 1, worker, Instant::now());
        let result = if let Some(lease) = at_once {
            Some(Ok(lease))
        } else if dice.roll(2) == 0 {
            tokio::time::timeout(patience, pools.acquire(&key, &asker, soon())).await.ok()
        } else {
            Some(pools.acquire(&key, &asker, Instant::now() + patience).await)
        };
        let Some(Ok(lease)) = result else { continue };
        served += 1;
        assert!(!lease.in_use.swap(true, Ordering::SeqCst), "one backend, two sessions");
        if dice.roll(3) == 0 {
            tokio::time::sleep(Duration::from_micros(dice.roll(500))).await;
        }
        // Inside a transaction: a second shard while holding the first.
        let other = Key((key.0 + 1) % shards, 0);
        let mut second = None;
        if shards > 1 && dice.roll(4) == 0 {
            let asker = Asker { holds: &[key.shard()], ..asker };
            second = pools.acquire(&other, &asker, Instant::now() + Duration::from_secs(10)).await.ok();
        }
        for lease in second.into_iter().map(|second| (second, false)).chain([(lease, true)]) {
            let (lease, mark) = lease;
            if mark {
                lease.in_use.store(false, Ordering::SeqCst);
            }
            match dice.roll(20) {
                0 => drop(lease),
                1 => lease.quarantine().release().give_back(),
                2 => {
                    lease.alive.store(false, Ordering::SeqCst);
                    lease.give_back();
                }
                _ => lease.give_back(),
            }
        }
    }
    served
}

fn run(seed: u64, size_max: usize, shards: u32) {
    run_with(seed, size_max, shards, Duration::ZERO);
}

fn run_with(seed: u64, size_max: usize, shards: u32, delay: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let (pools, servers) = pools(size_max);
        *servers.delay.lock().unwrap() = delay;
        let tasks: Vec<_> =
            (0..24).map(|number| tokio::spawn(session(Arc::clone(&pools), number, seed, shards))).collect();
        let all = futures_util::future::join_all(tasks);
        let results = tokio::time::timeout(Duration::from_secs(60), all).await.expect("nobody waits for ever");
        let served: u64 = results.into_iter().map(|result| result.unwrap()).sum();
        assert!(served > 100, "{served}");
        for shard in pools.shards() {
            assert_eq!(shard.waiting, 0);
            assert!(shard.size <= size_max);
            let idle: usize = shard.keys.iter().map(|key| key.idle).sum();
            assert_eq!(idle, shard.size, "every place is idle: {:?}", shard.keys);
            let server = servers.server(shard.shard.0);
            assert_eq!(server.open.load(Ordering::SeqCst), shard.size);
            assert!(server.open_most.load(Ordering::SeqCst) <= size_max, "the cap was exceeded");
            // No place is lost: the whole cap can be had at once.
            let mut leases = Vec::new();
            for number in 0..size_max {
                leases.push(pools.acquire(&Key(shard.shard.0, 0), &asker(number as u64 + 1), soon()).await.unwrap());
            }
        }
    });
}

#[test]
fn one_backend_for_many() {
    for seed in 1..=4 {
        run(seed, 1, 1);
    }
}

#[test]
fn connections_that_take_a_while_to_open() {
    run_with(1, 2, 1, Duration::from_micros(200));
    run_with(2, 1, 2, Duration::from_micros(200));
}

#[test]
fn a_few_backends_over_two_keys() {
    for seed in 1..=4 {
        run(seed, 3, 1);
    }
}

#[test]
fn transactions_over_three_shards_of_one_backend_each() {
    for seed in 1..=4 {
        run(seed, 1, 3);
    }
}
