//! The catalog of one logical database: what is published, who waits for it, and the task that keeps it fresh.
//! Out: how shards are read (`load`), how a schema is made of it (`assemble`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sharding::schema::Schema;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::control::LoadError;
use super::finding::Finding;
use super::keeper;
use super::source::Source;

/// Least time between two suspicions that are followed.
const SUSPICION_PAUSE: Duration = Duration::from_secs(1);

/// What is known of a logical database at one moment.
#[derive(Debug)]
pub struct Loaded {
    /// Its schema.
    pub schema: Arc<Schema>,
    /// What is wrong with its shards.
    pub findings: Vec<Finding>,
    /// Its shards, in order.
    pub shards: Vec<ShardState>,
}

/// How the last attempt to read a shard went.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardState {
    /// The shard's name.
    pub name: String,
    /// When it was read last; `None`: never.
    pub read_at: Option<Instant>,
    /// The version that its server reported then.
    pub version: Option<String>,
    /// Why it could not be read; `None`: it was.
    pub error: Option<LoadError>,
}

/// Why there is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No shard could be read, ever.
    #[error("no shard of database {database} can be read; shard {shard}: {cause}")]
    NoShard {
        /// The logical database.
        database: String,
        /// One of its shards.
        shard: String,
        /// Why that one could not be read.
        cause: String,
    },
    /// Reading takes too long.
    #[error("the tables of database {database} were not read in time")]
    TimedOut {
        /// The logical database.
        database: String,
    },
    /// The configuration does not have this database any more, or declares it otherwise.
    #[error("database {database} was changed or removed by a reload")]
    Retired {
        /// The logical database.
        database: String,
    },
}

/// The catalog of one logical database.
#[derive(Debug)]
pub struct DatabaseCatalog {
    source: Arc<Source>,
    loaded: ArcSwapOption<Loaded>,
    /// The version in `loaded`, 0 while there is none or a change is known that it does not show.
    version: AtomicU64,
    marks: Mutex<Marks>,
    /// The last number of `marks.asked` that is answered.
    answered: watch::Sender<u64>,
    pub(super) wake: Arc<Notify>,
    retired: AtomicBool,
    pub(super) versions: Arc<AtomicU64>,
}

/// Which loads were asked for.
#[derive(Debug, Default)]
struct Marks {
    /// Counts the requests.
    asked: u64,
    /// The last request because of a change through us: until it is answered, nothing published is current.
    changed: u64,
    /// When a change was suspected last.
    suspected: Option<Instant>,
}

impl DatabaseCatalog {
    /// Begins to load it in the background.
    pub(super) fn start(source: Source, versions: Arc<AtomicU64>, runtime: &Handle) -> Arc<Self> {
        let catalog = Arc::new(Self {
            source: Arc::new(source),
            loaded: ArcSwapOption::empty(),
            version: AtomicU64::new(0),
            marks: Mutex::new(Marks { asked: 1, changed: 0, suspected: None }),
            answered: watch::Sender::new(0),
            wake: Arc::new(Notify::new()),
            retired: AtomicBool::new(false),
            versions,
        });
        runtime.spawn(keeper::keep(Arc::downgrade(&catalog)));
        catalog
    }

    /// What the configuration says of it.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Version of the current schema; 0 while [`current`](Self::current) gives none. Cheap: a session compares it with
    /// the version of the schema that it holds before each statement.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The current schema, without waiting. `None`: nothing was read yet, or a change is known that is not read yet.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Schema>> {
        if self.version() == 0 {
            return None;
        }
        self.loaded.load().as_ref().map(|loaded| Arc::clone(&loaded.schema))
    }

    /// What was published last, even if it is not current any more.
    #[must_use]
    pub fn loaded(&self) -> Option<Arc<Loaded>> {
        self.loaded.load_full()
    }

    /// The current schema; waits for it if it must, and has shards that were down tried again at once.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn ready(&self, deadline: Instant) -> Result<Arc<Schema>, CatalogError> {
        match self.current() {
            Some(schema) => Ok(schema),
            None => self.refresh(deadline).await,
        }
    }

    /// Reads the shards again and gives the schema. Requests at the same time share one read.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn refresh(&self, deadline: Instant) -> Result<Arc<Schema>, CatalogError> {
        let wanted = self.ask(false);
        let mut answered = self.answered.subscribe();
        let database = || self.source.name.clone();
        if self.is_retired() {
            return Err(CatalogError::Retired { database: database() });
        }
        match timeout_at(deadline, answered.wait_for(|answered| *answered >= wanted)).await {
            Err(_) => return Err(CatalogError::TimedOut { database: database() }),
            Ok(Err(_)) => return Err(CatalogError::Retired { database: database() }),
            Ok(Ok(_)) => {}
        }
        if self.is_retired() {
            return Err(CatalogError::Retired { database: database() });
        }
        let Some(loaded) = self.loaded() else {
            return Err(CatalogError::TimedOut { database: database() });
        };
        if loaded.shards.iter().all(|shard| shard.read_at.is_none()) {
            let failed = loaded.shards.iter().find_map(|shard| Some((&shard.name, shard.error.as_ref()?)));
            let (shard, cause) =
                failed.map_or_else(Default::default, |(name, error)| (name.clone(), error.to_string()));
            return Err(CatalogError::NoShard { database: database(), shard, cause });
        }
        Ok(Arc::clone(&loaded.schema))
    }

    /// Says that a statement through us changed the schema: it is read again, and statements planned from now on wait
    /// for that ([`current`](Self::current) gives nothing meanwhile). To be called once the change is committed.
    pub fn note_ddl(&self) {
        self.ask(true);
    }

    /// Says that an answer of a shard may betray a change made behind our back: read again, without making anybody wait.
    /// Applications may live with such answers, so that not each one is worth reading everything.
    pub fn suspect(&self) {
        let now = Instant::now();
        {
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            if marks.suspected.is_some_and(|before| now < before + SUSPICION_PAUSE) {
                return;
            }
            marks.suspected = Some(now);
        }
        self.ask(false);
    }

    /// True once a reload removed or replaced this database: it is not refreshed any more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Ends the refreshing; who waits gets [`CatalogError::Retired`].
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.version.store(0, Ordering::Release);
        self.answered.send_replace(u64::MAX);
        self.wake.notify_one();
    }

    fn ask(&self, changed: bool) -> u64 {
        let asked = {
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.asked += 1;
            if changed {
                marks.changed = marks.asked;
                self.version.store(0, Ordering::Release);
            }
            marks.asked
        };
        self.wake.notify_one();
        asked
    }

    /// The number of the last request; a load that begins now answers it.
    pub(super) fn asked(&self) -> u64 {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).asked
    }

    /// Publishes what a load found; it began when `asked` was the last request.
    pub(super) fn publish(&self, loaded: Loaded, asked: u64) {
        if self.is_retired() {
            return;
        }
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = loaded.shards.iter().any(|shard| shard.read_at.is_some());
        let version = loaded.schema.version;
        self.loaded.store(Some(Arc::new(loaded)));
        if known && asked >= marks.changed {
            self.version.store(version, Ordering::Release);
        }
        drop(marks);
        self.answered.send_if_modified(|answered| {
            let newer = asked > *answered;
            *answered = asked.max(*answered);
            newer
        });
    }
}
