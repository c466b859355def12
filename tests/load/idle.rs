//! Memory of idle sessions: many clients log in and are silent, then each runs one statement and is silent again.
//! Every figure is that of a proxy started for it. Out: load.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::arguments::Arguments;
use crate::client::{Client, Target};
use crate::places::Places;
use crate::process::{Process, resident_kb};
use crate::proxies::{start_dbmesh, start_haproxy, start_pgbouncer, write};
use crate::report::{Table, count as number};

/// Clients that log in at the same time.
const AT_ONCE: usize = 8;
/// Files of the bench and of a proxy beside those of the sessions.
const OTHER_FILES: usize = 1_000;

/// A throw-away certificate, and clients that believe it.
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    clients: Arc<ClientConfig>,
}

/// How many files are open when so many sessions are idle: each has two ends in a relay or in the bench.
pub fn files_wanted(arguments: &Arguments) -> u64 {
    let most = if arguments.wants(&["idle"]) { arguments.sessions.last().copied().unwrap_or(0) } else { 0 };
    (2 * most + OTHER_FILES) as u64
}

/// Measures and prints the table. No more sessions than `files` allows.
pub fn run(places: &Places, arguments: &Arguments, files: u64) {
    let most = usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES);
    let at_most = |most: usize| arguments.sessions.iter().map(|count| (*count).min(most)).collect::<Vec<_>>();
    // A relay has two files open for each.
    let (counts, relays) = (at_most(most), at_most(most / 2));
    let columns = counts.iter().map(|count| format!("{} logged in", number(*count)));
    let columns = ["protocol".to_owned(), "way".to_owned(), "TLS".to_owned()].into_iter().chain(columns);
    let columns: Vec<String> = columns.chain(["after a statement of each".to_owned()]).collect();
    let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    let mut add = |protocol: &str, way: &str, tls: &str, bytes: Vec<f64>| {
        eprintln!("idle sessions, {protocol}, {way}, TLS: {tls}: bytes each: {bytes:.0?}");
        let shown = |bytes: &f64| number(bytes.max(0.0) as u64);
        let said_nothing = (bytes.len() == counts.len()).then(String::new);
        let cells = [protocol.to_owned(), way.to_owned(), tls.to_owned()];
        table.row(cells.into_iter().chain(bytes.iter().map(shown)).chain(said_nothing).collect());
    };
    let tls = make_tls(places);
    if arguments.wants_way("haproxy") {
        let way =
            if relays == counts { "haproxy".to_owned() } else { format!("haproxy, {} at most", number(most / 2)) };
        add("any", &way, "no", relayed(places, &relays));
    }
    for protocol in ["mysql", "postgres"].into_iter().filter(|protocol| arguments.wants_protocol(protocol)) {
        for way in ["pgbouncer", "dbmesh"].into_iter().filter(|way| arguments.wants_way(way)) {
            if (protocol, way) == ("mysql", "pgbouncer") {
                continue;
            }
            for (word, tls) in [("no", None), ("yes", Some(&tls))] {
                let files = tls.map(|tls| (tls.certificate.as_path(), tls.key.as_path()));
                let (process, port) = if way == "pgbouncer" {
                    start_pgbouncer(places, "pgbouncer-idle", files)
                } else {
                    let (process, at) = start_dbmesh(places, arguments, "dbmesh-idle", files);
                    (process, if protocol == "mysql" { at.mysql } else { at.postgres })
                };
                let user = if protocol == "mysql" { "bench" } else { "bench_md5" };
                let tls = tls.map(|tls| Arc::clone(&tls.clients));
                let target = Target { protocol, port, user, database: "plain", tls };
                add(protocol, way, word, logged_in(&process, &target, &counts));
            }
        }
    }
    table.print(
        "Idle sessions",
        "Bytes of resident memory for each session, by how many there are. HAProxy relays to a listener that says nothing.",
    );
}

/// Bytes for each session at each of `counts`, then after a statement of each.
fn logged_in(process: &Process, target: &Target, counts: &[usize]) -> Vec<f64> {
    // What the first session of all costs is no session's own.
    let mut first = Client::open(target, 1024).expect("a session");
    first.ask("SELECT 1").expect("an answer");
    first.close().expect("a goodbye");
    let before = settled_kb(process.pid());
    let each = |count: usize| (settled_kb(process.pid()) - before) * 1024.0 / count as f64;
    let sessions = Mutex::new(Vec::new());
    let mut bytes = Vec::new();
    for count in counts {
        let lack = count.saturating_sub(locked(&sessions).len());
        std::thread::scope(|scope| {
            for thread in 0..AT_ONCE {
                let (share, sessions) = ((lack + thread) / AT_ONCE, &sessions);
                scope.spawn(move || {
                    for _ in 0..share {
                        let session = Client::open(target, 1024).expect("a session");
                        locked(sessions).push(session);
                    }
                });
            }
        });
        bytes.push(each(*count));
    }
    let mut sessions = sessions.into_inner().unwrap_or_else(PoisonError::into_inner);
    for session in &mut sessions {
        session.ask("SELECT 1").expect("an answer");
    }
    bytes.push(each(sessions.len()));
    bytes
}

/// The same for HAProxy, which sees bytes only.
fn relayed(places: &Places, counts: &[usize]) -> Vec<f64> {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let behind = silent.local_addr().expect("an address").port();
    let most = counts.last().copied().unwrap_or(0);
    let front = places.port();
    let process = start_haproxy(places, "haproxy-idle", threads(), &[(front, behind)], most + 100);
    let connect = || {
        let client = TcpStream::connect(("127.0.0.1", front)).expect("HAProxy takes connections");
        (client, silent.accept().expect("HAProxy connects").0)
    };
    // `start_haproxy` tried it once.
    let mut held = vec![connect()];
    let before = settled_kb(process.pid());
    let mut bytes = Vec::new();
    for count in counts {
        while held.len() < count + 1 {
            held.push(connect());
        }
        bytes.push((settled_kb(process.pid()) - before) * 1024.0 / *count as f64);
    }
    bytes
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Resident memory once it stays the same for half a second, or after ten seconds.
fn settled_kb(pid: u32) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut last = resident_kb(pid);
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = resident_kb(pid);
        if (now - last).abs() < f64::EPSILON || Instant::now() > deadline {
            return now;
        }
        last = now;
    }
}

fn make_tls(places: &Places) -> Tls {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = write(places, "certificate.pem", &made.cert.pem());
    let key = write(places, "key.pem", &made.signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).expect("a certificate")).expect("a root");
    let clients = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Tls { certificate, key, clients: Arc::new(clients) }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
