//! A session: one client, and the backends that run its statements.
//! In: the loop over the client's messages, and what a session remembers. Each kind of work is a file of its own.
//! Out: wire formats, plans, when to commit.

mod align;
mod answer;
mod at_once;
mod batch;
mod client;
mod copy;
mod course;
mod custom;
mod effects;
mod ending;
mod extended;
mod fault;
mod function_call;
mod held;
mod listed;
mod meaning;
mod names;
mod numbers;
mod opinion;
mod parts;
mod pieces;
mod portal;
mod pull;
mod relay;
mod restore;
mod route;
mod scatter;
mod sequence_asks;
mod sequences;
mod settle;
mod simple;
mod spread;
mod stale;
mod startup;
mod texts;
mod verbs;
mod waiting;
mod welcome;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Buf;
use protocol::postgres::{FrontendMessage, TransactionStatus, frontend, wire, write};
use sharding::lexer::PostgresModes;
use tokio::time::Instant;
use transaction::{Dialect, ShardIndex, Status, Transaction, TransactionType};

use super::backend::Connector;
use super::front::Front;
use super::settings::Settings;
use crate::catalog::DatabaseCatalog;
use crate::config::{self, Config, Protocol};
use crate::deadline::Deadline;
use crate::error_code::MeshError;
use crate::interrupt::Reason;
use crate::listen::client_stream::ClientStream;
use crate::mesh::Mesh;
use crate::metrics::WorkerMetrics;
use crate::pool::{Door, WorkerId};
use crate::sessions::{Activity, Entry, Identity};
use batch::{Batch, Portals};
use client::{Client, Next};
use course::Course;
use fault::Stop;
use held::Held;
use names::Names;
use pull::Patience;
use relay::Notes;
use sequences::Taken;

/// Longest a client that is told to go may take to read why.
const FAREWELL: Duration = Duration::from_secs(5);

/// One client's session.
struct Session {
    mesh: Arc<Mesh>,
    front: Arc<Front>,
    entry: Entry,
    worker: WorkerId,
    /// As it was when the current burst of messages began.
    config: Arc<Config>,
    /// The configuration in force.
    newest: arc_swap::Cache<Arc<ArcSwap<Config>>, Arc<Config>>,
    /// Number of the logical database.
    database: usize,
    client: Client,
    /// Backends that this session has now.
    held: Vec<Held>,
    /// Ways to the pools it has taken them from.
    doors: Vec<Door<Connector>>,
    transaction: Transaction,
    /// When the current transaction began, as the pools count it; `None` outside.
    began: Option<u64>,
    /// What the session has set.
    settings: Arc<Settings>,
    /// What it had set when it started: RESET goes back to it.
    startup: Arc<Settings>,
    modes: PostgresModes,
    names: Names,
    texts: texts::Texts,
    batch: Batch,
    portals: Portals,
    notes: Notes,
    /// DISCARD ALL is on its way.
    discarding: bool,
    /// Why the session keeps its backend outside transactions.
    pin: Option<&'static str>,
    /// The pin may have become unnecessary: ask the backend.
    pin_doubt: bool,
    /// Schemas of the logical database.
    catalog: Option<Arc<DatabaseCatalog>>,
    /// Where the cursor is that was declared last.
    cursor_shard: Option<ShardIndex>,
    /// DDL ran in a transaction that is still open.
    schema_changed: bool,
    /// Settings may have changed on a backend that is held: ask it before it goes.
    unlearnt: bool,
    /// By which settings its texts are read.
    meaning: meaning::Meaning,
    /// Names of settings that the server does not list, and that this session may have set.
    custom: Vec<String>,
    /// What it has taken from sequences.
    taken: Taken,
    /// The backend on which it may have taken a sequence value last.
    sequences_at: Option<(ShardIndex, u32)>,
    /// The shard on which settings may have changed last.
    set_on: Option<ShardIndex>,
    /// Grows whenever settings may have changed.
    set_epoch: u64,
    /// Statements whose Parse a backend was spared, because it had them, and that were not run since.
    unproven: Vec<u64>,
    /// What its plans depend on.
    scope: Option<route::Scope>,
    /// The counters of its worker.
    counters: Arc<WorkerMetrics>,
    /// How the current statement goes.
    course: Course,
    /// Until when a statement on several shards may run.
    patience: Patience,
    /// Tells that the client has been silent for too long.
    silence: Deadline,
    /// Tells that an answer takes too long.
    overdue: Deadline,
    /// A message of the client is being handled.
    midway: bool,
    /// A cancel request was sent when bytes were last moved.
    cancelled: bool,
}

/// Serves one client until it leaves.
pub(super) async fn run(
    mesh: Arc<Mesh>,
    front: Arc<Front>,
    entry: Option<Entry>,
    stream: ClientStream,
    worker: WorkerId,
) {
    let mut silence = Deadline::default();
    silence.begin(Instant::now(), Some(mesh.config.load().timeouts.handshake));
    // Boxed, like all that is large and seldom: a session that waits for its client takes the room of the largest thing that
    // is not.
    let login = Box::pin(startup::log_in(&mesh, &front, stream, entry.is_none()));
    let Some(done) = silence.guard(login).await else { return };
    let logged_in = match done {
        Ok(logged_in) => logged_in,
        Err(startup::Refused::Silent) => return,
        Err(startup::Refused::Told(told)) => {
            let (client, error) = *told;
            mesh.metrics.error(Protocol::Postgres, &error);
            mesh.metrics.login(Protocol::Postgres, false);
            let _ = tokio::time::timeout(FAREWELL, startup::dismiss(client, &error)).await;
            return;
        }
    };
    let Some(entry) = entry else { return };
    mesh.metrics.login(Protocol::Postgres, true);
    let application = logged_in.message.settings.iter().find(|(name, _)| name == "application_name");
    entry.set_identity(Identity {
        user: logged_in.message.user.clone(),
        database: logged_in.message.database.clone(),
        application: application.map(|(_, value)| value.clone()).unwrap_or_default(),
    });
    let config = mesh.config.load_full();
    let kind = match (config.user(&logged_in.message.user), config.databases.get(logged_in.database)) {
        (Some(user), Some(database)) => config.transaction_type_of(user, database),
        _ => config.transaction_type,
    };
    let kind = match kind {
        config::TransactionType::Atomic => TransactionType::Atomic,
        config::TransactionType::Local => TransactionType::Local,
    };
    let peers = front.pools.connector().peers();
    let mut session = Session {
        notes: Notes::new(Arc::clone(peers)),
        front,
        entry,
        worker,
        config,
        newest: arc_swap::Cache::new(Arc::clone(&mesh.config)),
        database: logged_in.database,
        client: logged_in.client,
        held: Vec::new(),
        doors: Vec::new(),
        transaction: Transaction::new(Dialect::Postgres, kind),
        began: None,
        settings: super::settings::none(),
        startup: super::settings::none(),
        modes: PostgresModes::DEFAULT,
        names: Names::default(),
        texts: texts::Texts::default(),
        batch: Batch::default(),
        portals: Portals::default(),
        discarding: false,
        pin: None,
        pin_doubt: false,
        catalog: None,
        cursor_shard: None,
        schema_changed: false,
        unlearnt: false,
        meaning: meaning::Meaning::default(),
        custom: Vec::new(),
        taken: Taken::default(),
        unproven: Vec::new(),
        sequences_at: None,
        set_on: None,
        set_epoch: 0,
        scope: None,
        counters: Arc::clone(mesh.metrics.worker(usize::from(worker.0))),
        course: Course::new(),
        patience: Patience::default(),
        // The timer of the login goes on as that of its silence.
        silence,
        overdue: Deadline::default(),
        midway: false,
        cancelled: false,
        mesh,
    };
    let stop = match session.welcome(&logged_in.message.settings).await {
        Ok(()) => session.serve().await,
        Err(stop) => stop,
    };
    Box::pin(session.end(stop)).await;
}

impl Session {
    /// The loop over the client's messages.
    async fn serve(&mut self) -> Stop {
        loop {
            match self.burst().await {
                Ok(()) => {}
                Err(stop) => return stop,
            }
            if let Err(stop) = self.pause().await {
                return stop;
            }
        }
    }

    /// Handles every whole message that is there.
    async fn burst(&mut self) -> Result<(), Stop> {
        let mut bytes = self.client.take_input();
        loop {
            let max = self.config.limits.sql_bytes_max;
            let next = self.client.next(&mut bytes, max);
            match next.map_err(|error| Stop::Fatal(MeshError::Protocol(error.to_string())))? {
                Next::More => match self.client.put_back(bytes) {
                    true => bytes = self.client.take_input(),
                    false => return Ok(()),
                },
                Next::Message(total) => {
                    if matches!(bytes.first(), Some(b'B' | b'P'))
                        && let Some((total, sent)) = self.batch_at_once(&bytes)
                    {
                        self.midway = true;
                        self.end_at_once(sent).await?;
                        bytes.advance(total);
                        self.midway = false;
                        continue;
                    }
                    if bytes.first() == Some(&b'B') {
                        self.batch.last_bind = batch::ends_next(&bytes[total..]);
                        self.batch.described = batch::describes_next(&bytes[total..]);
                    }
                    self.midway = true;
                    self.on_message(&bytes[..total]).await?;
                    bytes.advance(total);
                }
                Next::TooLarge(tag, bytes) => {
                    self.midway = true;
                    self.on_too_large(tag, bytes).await?;
                }
            }
            self.midway = false;
            if self.client.output.len() > held::OUTPUT_MAX {
                self.drain_client().await?;
            }
        }
    }

    async fn on_message(&mut self, frame: &[u8]) -> Result<(), Stop> {
        if self.taken.is_fresh() {
            Box::pin(self.learn_between()).await?;
        }
        let violation = |error: wire::WireError| Stop::Fatal(MeshError::Protocol(error.to_string()));
        let message = wire::Message { tag: frame[0], body: &frame[wire::HEADER_BYTES..], total: frame.len() };
        match frontend::decode(&message).map_err(violation)? {
            FrontendMessage::Query(sql) => self.on_query(frame, sql).await,
            FrontendMessage::Parse(parse) => self.on_parse(&parse).await,
            FrontendMessage::Bind(bind) => self.on_bind(frame, &bind).await,
            FrontendMessage::Describe(target, name) => self.on_describe(target, name).await,
            FrontendMessage::Execute { portal, rows_max } => self.on_execute(portal, rows_max).await,
            FrontendMessage::Close(target, name) => self.on_close(target, name).await,
            FrontendMessage::Flush => self.on_flush().await,
            FrontendMessage::Sync => self.on_sync().await,
            FrontendMessage::Terminate => {
                self.midway = false;
                Err(Stop::Left)
            }
            FrontendMessage::CopyData(_) | FrontendMessage::CopyDone | FrontendMessage::CopyFail(_) => {
                self.on_copy(frame).await
            }
            FrontendMessage::FunctionCall(body) => self.on_function_call(frame, body).await,
            FrontendMessage::Password(_) => Err(violation(wire::WireError::Unexpected(frame[0]))),
        }
    }

    async fn on_too_large(&mut self, tag: u8, bytes: usize) -> Result<(), Stop> {
        let error = MeshError::Limit(format!(
            "a message of {bytes} bytes is longer than limits.sql_bytes_max ({})",
            self.config.limits.sql_bytes_max
        ));
        match tag {
            b'Q' => self.refuse_query(&error).await,
            b'P' | b'B' => self.fail_batch(fault::Fault::Mesh(error)).await,
            // A COPY stream or anything else cannot go on with a hole in it.
            _ => Err(Stop::Fatal(error)),
        }
    }

    /// Answers a simple query with an error of ours.
    async fn refuse_query(&mut self, error: &MeshError) -> Result<(), Stop> {
        if self.batch.skips() {
            return Ok(());
        }
        self.settle_batch().await?;
        if self.batch.skips() {
            return Ok(());
        }
        self.fail_transaction();
        self.mesh.metrics.error(Protocol::Postgres, error);
        answer::error(&mut self.client.output, error);
        self.ready();
        Ok(())
    }

    /// Says `ReadyForQuery`.
    fn ready(&mut self) {
        let status = self.status();
        write::ready_for_query(&mut self.client.output, status);
    }

    /// Where the client stands.
    fn status(&self) -> TransactionStatus {
        match self.transaction.status() {
            Status::Idle => TransactionStatus::Idle,
            Status::Open => TransactionStatus::Active,
            Status::Failed => TransactionStatus::Failed,
        }
    }

    /// An error of ours came: inside a transaction, that fails it.
    fn fail_transaction(&mut self) {
        match self.transaction.status() {
            Status::Idle => {}
            // The reply says that the statement's own answer stands: ours, which is being given.
            Status::Open => drop(self.transaction.statement_ended(transaction::Ran::Failed { others_changed: false })),
            Status::Failed => self.transaction.client_told(),
        }
    }

    async fn drain_client(&mut self) -> Result<(), Stop> {
        // Mostly all of it fits, and there is nothing to time.
        let at_once = poll_fn(|cx| match self.client.poll_drain(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(done) = at_once.await {
            return done.map_err(|_| Stop::Left);
        }
        let patience = self.config.timeouts.client_write;
        match tokio::time::timeout(patience, self.client.drain()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Stop::Left),
        }
    }

    /// Everything that was there is handled: send the answers, let go of backends, wait for more.
    async fn pause(&mut self) -> Result<(), Stop> {
        let unsettled = !self.batch.is_empty();
        self.note_schema_change();
        let before = self.client.input.len();
        self.count_bytes();
        if !unsettled {
            self.release_clean();
        }
        self.drain_client().await?;
        let settled = self.held.is_empty() && self.pin.is_none() && !self.unlearnt && !self.pin_doubt;
        if !unsettled && !settled && self.transaction.status() == Status::Idle {
            // Boxed: it is seldom, and large.
            Box::pin(self.settle()).await?;
        }
        if self.client.input.len() > before {
            // It came while a backend was being cleaned.
            return Ok(());
        }
        let idle = self.transaction.status() == Status::Idle && !unsettled;
        self.entry.set_activity(if idle { Activity::Idle } else { Activity::IdleInTransaction });
        let least = if idle { Reason::Drain } else { Reason::Session };
        let timeouts = &self.config.timeouts;
        let patience = if idle { timeouts.session_idle } else { timeouts.transaction_idle };
        self.silence.begin(self.course.latest(), patience);
        self.client.shrink();
        let since = self.course.latest();
        let waited = self.wait_for_client(least).await;
        if self.held.iter().all(|held| held.lease.pipeline.is_settled()) {
            // A cancel request that came while nothing ran is for nothing.
            self.entry.interrupt.clear_query();
        }
        let now = self.course.look();
        if unsettled {
            // What was sent already may have run all the while.
            self.held.iter_mut().for_each(|held| held.lease.memory.took(now.saturating_duration_since(since)));
        }
        self.entry.set_activity(Activity::Active);
        // Looked at, not taken: all workers would meet at its count of owners.
        if !Arc::ptr_eq(self.newest.load(), &self.config) {
            self.config = Arc::clone(self.newest.load());
        }
        waited
    }
}
