//! A running proxy: it ends with the bench; its processor time and its memory. Out: what it is configured to do.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dbmesh::demo::unprivileged::Unprivileged;

/// Ends when it is dropped.
pub struct Process(Child);

impl Process {
    /// Starts a program whose messages go to `log`. One that refuses to run as root gets another user.
    pub fn start(program: &Path, arguments: &[&str], log: &Path, may_be_root: bool) -> Self {
        let log = std::fs::File::create(log).expect("a log");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let other = Unprivileged::find().expect("a user that is not root").change_to();
        if let Some((uid, gid)) = other.filter(|_| !may_be_root) {
            command.uid(uid).gid(gid);
        }
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Milliseconds of processor time that `pid` and its threads have used.
pub fn cpu_ms(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let exact = threads.flatten().map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    match exact.sum::<Option<f64>>() {
        Some(nanoseconds) if nanoseconds > 0.0 => nanoseconds / 1e6,
        _ => ticks_ms(pid, [14, 15]),
    }
}

/// A process whose processor time is noted while something runs, so that what it spent on connecting can be left out.
pub struct Watch {
    pid: u32,
    stop: Arc<AtomicBool>,
    noting: JoinHandle<Vec<(Instant, [f64; 2])>>,
}

impl Watch {
    /// Begins to note it.
    pub fn begin(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let noting = std::thread::spawn(move || {
            let mut noted = vec![(Instant::now(), work(pid))];
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                noted.push((Instant::now(), work(pid)));
            }
            noted
        });
        Self { pid, stop, noting }
    }

    /// Ends; milliseconds of processor time and the number of wake-ups in the last `seconds` before.
    pub fn last(self, seconds: f64) -> [f64; 2] {
        let (end, after) = (Instant::now(), work(self.pid));
        self.stop.store(true, Ordering::Relaxed);
        let noted = self.noting.join().expect("the noting thread");
        let from = Duration::try_from_secs_f64(seconds).ok().and_then(|length| end.checked_sub(length)).unwrap_or(end);
        let at = noted.partition_point(|(time, _)| *time < from);
        let before = match (at.checked_sub(1).and_then(|at| noted.get(at)), noted.get(at)) {
            (Some((t0, [ms0, ups0])), Some((t1, [ms1, ups1]))) => {
                let part = (from - *t0).as_secs_f64() / (*t1 - *t0).as_secs_f64();
                [ms0 + (ms1 - ms0) * part, ups0 + (ups1 - ups0) * part]
            }
            (Some((_, work)), None) | (None, Some((_, work))) => *work,
            (None, None) => [f64::NAN; 2],
        };
        [after[0] - before[0], after[1] - before[1]]
    }
}

/// Processor time and the number of times that a thread had waited and was woken.
fn work(pid: u32) -> [f64; 2] {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let waits = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<f64>().ok()
    });
    [cpu_ms(pid), waits.sum()]
}

/// Milliseconds of processor time of the bench's own children that ended.
pub fn children_ms() -> f64 {
    ticks_ms(std::process::id(), [16, 17])
}

/// Milliseconds of processor time of this thread.
pub fn thread_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}

/// Two fields of `/proc/PID/stat`, numbered as in its manual, in ticks of 10 ms.
fn ticks_ms(pid: u32, fields: [usize; 2]) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // Behind the name in brackets stands field 3.
    let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = fields.map(|at| words.get(at - 3).and_then(|n| n.parse::<f64>().ok()).expect("a number of ticks"));
    (ticks[0] + ticks[1]) * 10.0
}

/// Kilobytes that `pid` has in memory now.
pub fn resident_kb(pid: u32) -> f64 {
    status(pid, "VmRSS:")
}

/// Kilobytes that it had in memory at most since [`forget_peak`].
pub fn peak_kb(pid: u32) -> f64 {
    status(pid, "VmHWM:")
}

/// Begins a new peak.
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("its peak can be reset");
}

fn status(pid: u32, name: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("kilobytes")
}

/// Lets this process and those it starts open so many files, or as many as it may; returns how many that is.
pub fn open_files(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX);
    let more = Rlimit { current: Some(wanted), maximum: Some(hard.max(wanted)) };
    if setrlimit(Resource::Nofile, more).is_err() {
        let most = Rlimit { current: Some(hard.min(wanted)), maximum: now.maximum };
        let _ = setrlimit(Resource::Nofile, most);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(wanted)
}
