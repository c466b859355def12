//! The words that mean something to the lexer. A word that is not here is a name.
//! Invariant: only words that are reserved in MySQL *and* MariaDB have `FOLD`, since the case of names matters there.

use super::word_table::WordTable;

/// What is known about a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    pub(crate) keyword: Keyword,
    traits: u8,
}

/// Reserved in MySQL and MariaDB: its case does not matter there.
const FOLD: u8 = 1;
/// In MySQL, `word (` is not the call of a stored or loadable function.
const MY: u8 = 2;
/// In PostgreSQL, `word (` is not the call of a user's function.
const PG: u8 = 4;
/// A type whose numbers in parentheses are part of the statement's shape.
const TYPE: u8 = 8;
/// A function without parentheses that has one value per statement.
const NOW: u8 = 16;
/// A function without parentheses that describes the session.
const WHO: u8 = 32;
/// A string behind it is a date or time.
const TYPED: u8 = 64;

impl Word {
    pub(crate) fn folds(self) -> bool {
        self.traits & FOLD != 0
    }

    /// True when `word (` may be a call that the function table must judge.
    pub(crate) fn may_be_function(self, mysql: bool) -> bool {
        self.traits & if mysql { MY } else { PG } == 0
    }

    pub(crate) fn is_type(self) -> bool {
        self.traits & TYPE != 0
    }

    /// `DATE '2024-01-01'`.
    pub(crate) fn begins_typed_literal(self) -> bool {
        self.traits & TYPED != 0
    }

    pub(crate) fn is_time_of_statement(self) -> bool {
        self.traits & NOW != 0
    }

    pub(crate) fn describes_session(self) -> bool {
        self.traits & WHO != 0
    }
}

macro_rules! keywords {
    ($($name:ident $text:literal $traits:expr;)*) => {
        /// The keywords that rules ask for by name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub(crate) enum Keyword { None, Plain, $($name),* }
        const NAMED: &[(&str, Word)] = &[$(($text, Word { keyword: Keyword::$name, traits: $traits })),*];
    };
}

const R: u8 = FOLD | MY | PG;
const F: u8 = FOLD | MY;
const N: u8 = MY | PG;

keywords! {
    Select "select" R; From "from" R; Where "where" R; And "and" R; Or "or" R; Not "not" R; In "in" R; Is "is" F;
    Null "null" R; Like "like" R; Between "between" R; Exists "exists" R; Order "order" R; Group "group" R; By "by" R;
    Having "having" R; Limit "limit" R; Join "join" R; On "on" R; Using "using" R; As "as" R; Distinct "distinct" R;
    Union "union" R; Except "except" N; Intersect "intersect" N; All "all" R; Insert "insert" F; Into "into" R;
    Values "values" R; Value "value" MY; Update "update" F; Set "set" R; Delete "delete" F; Replace "replace" F;
    Case "case" R; When "when" R; Then "then" R; Else "else" R; End "end" PG; For "for" R; Lock "lock" F; True "true" R;
    False "false" R; Xor "xor" F; Div "div" F; Mod "mod" F; With "with" R; Recursive "recursive" F; Create "create" R;
    Alter "alter" F; Drop "drop" F; Rename "rename" F; Table "table" R; Index "index" F; Key "key" F; Unique "unique" R;
    Begin "begin" 0; Start "start" 0; Transaction "transaction" 0; Work "work" 0; Commit "commit" 0;
    Rollback "rollback" 0; Abort "abort" 0; Savepoint "savepoint" 0; Release "release" F; To "to" R; Show "show" F;
    Use "use" F; Explain "explain" F; Describe "describe" F; Desc "desc" R; Asc "asc" R; Call "call" F; Do "do" PG;
    Copy "copy" 0; Load "load" F; Data "data" 0; Xml "xml" 0; Tables "tables" 0; Unlock "unlock" F;
    PrepareStatement "prepare" 0; Execute "execute" 0; Immediate "immediate" 0; Deallocate "deallocate" 0;
    Declare "declare" F; Fetch "fetch" F; Move "move" 0; Close "close" 0; Listen "listen" 0; Notify "notify" 0;
    Unlisten "unlisten" 0; Discard "discard" 0; Reset "reset" 0; Xa "xa" 0; Kill "kill" F; Handler "handler" 0;
    Grant "grant" F; Revoke "revoke" F; Truncate "truncate" MY; Analyze "analyze" F; Optimize "optimize" F;
    Check "check" R; Repair "repair" 0; Checksum "checksum" 0; Vacuum "vacuum" 0; Flush "flush" 0; Merge "merge" 0;
    Comment "comment" 0; Refresh "refresh" 0; Reindex "reindex" 0; Cluster "cluster" 0; Security "security" 0;
    Import "import" 0; Session "session" 0; Local "local" 0; Global "global" 0; Characteristics "characteristics" 0;
    Isolation "isolation" 0; Level "level" 0; Read "read" F; Write "write" F; Only "only" PG; Committed "committed" 0;
    Uncommitted "uncommitted" 0; Repeatable "repeatable" 0; Serializable "serializable" 0; Deferrable "deferrable" 0;
    Consistent "consistent" 0; Snapshot "snapshot" 0; Chain "chain" 0; No "no" 0; Prepared "prepared" 0;
    Statement "statement" 0; Hold "hold" 0; Cursor "cursor" 0; Share "share" 0; Mode "mode" 0; Outfile "outfile" F;
    Dumpfile "dumpfile" 0; Temporary "temporary" 0; Temp "temp" 0; PgTemp "pg_temp" 0; PgPrepared "pg_prepared_statements" 0; Next "next" 0;
    Previous "previous" 0; Returning "returning" 0; CalcFoundRows "sql_calc_found_rows" FOLD | MY; Window "window" N;
    Offset "offset" PG; Procedure "procedure" F; Function "function" 0; Trigger "trigger" F; Event "event" 0;
    Package "package" 0; View "view" 0; Database "database" FOLD; Schema "schema" FOLD; Sequence "sequence" 0;
    Rule "rule" 0; Role "role" 0; Server "server" 0; Atomic "atomic" 0; If "if" F; Loop "loop" F; While "while" F;
    Repeat "repeat" F; Warnings "warnings" 0; Errors "errors" 0; Get "get" 0; Diagnostics "diagnostics" 0;
    Route "route" 0; Names "names" 0; Character "character" F | PG | TYPE; Default "default" R; User "user" WHO;
    Password "password" 0; Persist "persist" 0; PersistOnly "persist_only" 0; Time "time" TYPE | PG | TYPED; Zone "zone" 0;
    Authorization "authorization" PG; Constraints "constraints" 0; Off "off" 0; Plans "plans" 0; Query "query" 0;
    Connection "connection" 0; Hard "hard" 0; Soft "soft" 0; Recover "recover" 0; Collate "collate" R; Current "current" 0;
    Sequences "sequences" 0; Sql "sql" F; Parameter "parameter" 0; Operator "operator" 0;
}

const fn plain(traits: u8) -> Word {
    Word { keyword: Keyword::Plain, traits }
}

#[rustfmt::skip]
const PLAIN: &[(&str, Word)] = &[
    ("inner", plain(R)), ("left", plain(R)), ("right", plain(R)), ("outer", plain(F)), ("cross", plain(R)),
    ("natural", plain(R)), ("straight_join", plain(F)), ("force", plain(F)), ("ignore", plain(F)),
    ("primary", plain(R)), ("foreign", plain(R)), ("references", plain(R)), ("constraint", plain(R)),
    ("partition", plain(F | PG)), ("over", plain(N)), ("rows", plain(FOLD)), ("regexp", plain(F)), ("rlike", plain(F)),
    ("interval", plain(R)), ("any", plain(N)), ("some", plain(N)), ("row", plain(N)), ("array", plain(PG)),
    ("filter", plain(PG)), ("within", plain(0)), ("conflict", plain(PG)), ("materialized", plain(PG)),
    ("sets", plain(PG)), ("cube", plain(PG)), ("rollup", plain(N)), ("grouping", plain(N)), ("lateral", plain(PG)),
    ("low_priority", plain(F)), ("high_priority", plain(F)), ("delayed", plain(F)), ("match", plain(F)),
    ("against", plain(MY)), ("binary", plain(F | PG | TYPE)), ("convert", plain(F)), ("add", plain(F)),
    ("column", plain(F | PG)), ("coalesce", plain(PG)), ("nullif", plain(PG)), ("greatest", plain(PG)),
    ("least", plain(PG)), ("extract", plain(PG)), ("cast", plain(PG)), ("treat", plain(PG)), ("trim", plain(PG)),
    ("position", plain(PG)), ("overlay", plain(PG)), ("substring", plain(PG)), ("xmlelement", plain(PG)),
    ("xmlforest", plain(PG)), ("xmlconcat", plain(PG)), ("xmlparse", plain(PG)), ("xmlpi", plain(PG)),
    ("xmlroot", plain(PG)), ("xmlserialize", plain(PG)), ("xmltable", plain(PG)), ("xmlexists", plain(PG)),
    ("xmlattributes", plain(PG)), ("json_table", plain(MY)), ("sql_small_result", plain(F)),
    ("sql_big_result", plain(F)), ("sql_no_cache", plain(0)), ("sql_buffer_result", plain(0)),
    ("distinctrow", plain(F)), ("usage", plain(F)), ("escape", plain(0)), ("ilike", plain(PG)), ("similar", plain(PG)),
    ("member", plain(0)), ("of", plain(MY)), ("nowait", plain(0)), ("skip", plain(0)), ("locked", plain(0)),
    ("duplicate", plain(0)), ("nothing", plain(0)), ("first", plain(0)), ("last", plain(0)), ("nulls", plain(0)),
    ("separator", plain(FOLD)), ("isnull", plain(PG)), ("notnull", plain(PG)),
    ("char", plain(F | PG | TYPE)), ("varchar", plain(F | PG | TYPE)), ("nchar", plain(N | TYPE)),
    ("nvarchar", plain(MY | TYPE)), ("decimal", plain(F | PG | TYPE)), ("dec", plain(F | PG | TYPE)),
    ("numeric", plain(F | PG | TYPE)), ("varbinary", plain(F | TYPE)), ("bit", plain(N | TYPE)),
    ("float", plain(F | PG | TYPE)), ("double", plain(F | TYPE)), ("real", plain(F | PG | TYPE)),
    ("datetime", plain(MY | TYPE)), ("timestamp", plain(N | TYPE | TYPED)), ("timestamptz", plain(TYPE)),
    ("timetz", plain(TYPE)), ("int", plain(F | PG | TYPE)), ("integer", plain(F | PG | TYPE)),
    ("bigint", plain(F | PG | TYPE)), ("smallint", plain(F | PG | TYPE)), ("mediumint", plain(F | TYPE)),
    ("tinyint", plain(F | TYPE)), ("bpchar", plain(TYPE)), ("varbit", plain(TYPE)), ("varying", plain(FOLD | TYPE)),
    ("text", plain(TYPE)), ("blob", plain(F | TYPE)), ("signed", plain(MY)), ("unsigned", plain(F)),
    ("year", plain(MY | TYPE)), ("date", plain(MY | TYPED)), ("enum", plain(MY)), ("fixed", plain(TYPE)),
    ("current_timestamp", plain(R | NOW)), ("current_date", plain(R | NOW)), ("current_time", plain(R | NOW)),
    ("localtime", plain(R | NOW)), ("localtimestamp", plain(R | NOW)), ("utc_timestamp", plain(F | NOW)),
    ("utc_date", plain(F | NOW)), ("utc_time", plain(F | NOW)), ("current_user", plain(R | WHO)),
    ("current_role", plain(WHO)), ("current_catalog", plain(PG | WHO)), ("session_user", plain(PG | WHO)),
    ("system_user", plain(WHO)),
];

static NAMED_TABLE: WordTable<Word, 1024> = WordTable::new(&ALL);

const COUNT: usize = NAMED.len() + PLAIN.len();

static ALL: [(&str, Word); COUNT] = {
    let mut all = [("", plain(0)); COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < NAMED.len() { NAMED[at] } else { PLAIN[at - NAMED.len()] };
        at += 1;
    }
    all
};

/// Looks a word up, ASCII case ignored: its lower-case text and what is known about it.
#[inline(always)]
pub(crate) fn find(word: &[u8], packed: u64) -> Option<&'static (&'static str, Word)> {
    NAMED_TABLE.find(word, packed)
}

#[cfg(test)]
mod tests {
    use super::super::word_table::packed;
    use super::*;

    #[test]
    fn every_keyword_is_found_and_listed_once() {
        let mut texts: Vec<&str> = ALL.iter().map(|(text, _)| *text).collect();
        texts.sort_unstable();
        let before = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), before, "a word is listed twice");
        for (text, word) in &ALL {
            assert_eq!(find(text.as_bytes(), packed(text.as_bytes())), Some(&(*text, *word)), "{text}");
            let upper = text.to_ascii_uppercase();
            assert_eq!(find(upper.as_bytes(), packed(upper.as_bytes())), Some(&(*text, *word)), "{upper}");
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{text}");
        }
        assert_eq!(find(b"sbtest1", packed(b"sbtest1")), None);
    }
}
