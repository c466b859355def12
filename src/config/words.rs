//! Settings that are one word out of a few, and how the word is written in files, on the command line and in admin tables.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$case_doc])* $case,)+
        }

        impl $name {
            /// Every word, in the order shown to people.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)+
                }
            }

            /// Reads the word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$case),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A client/server protocol; with a name it identifies a logical database.
    Protocol {
        /// MySQL and MariaDB.
        MySql = "mysql",
        /// PostgreSQL.
        Postgres = "postgres",
    }
}

words! {
    /// How a transaction that wrote on several shards commits.
    TransactionType {
        /// On all shards or on none.
        Atomic = "atomic",
        /// On one shard after the other; a failure between can split it.
        Local = "local",
    }
}

words! {
    /// Functions from a key to a shard.
    ShardFunction {
        /// XXH3-64 over canonical bytes, 16,384 slots.
        Hash = "hash",
    }
}

words! {
    /// Levels of a log line.
    LogLevel {
        /// Faults that need someone.
        Error = "error",
        /// And what may become one.
        Warn = "warn",
        /// And what happens seldom.
        Info = "info",
        /// And what helps to find a fault.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// Forms of a log line.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

words! {
    /// How a user proves itself at our front.
    AuthMethod {
        /// MySQL native and caching_sha2, PostgreSQL SCRAM-SHA-256.
        Password = "password",
        /// As `Password`, and PostgreSQL asks for the older md5 proof.
        Md5 = "md5",
        /// Not at all; loopback only.
        Trust = "trust",
    }
}

words! {
    /// Where the rows of a declared table are.
    TableType {
        /// Spread by key.
        Sharded = "sharded",
        /// A copy on every shard.
        Reference = "reference",
        /// On one shard.
        Single = "single",
    }
}
