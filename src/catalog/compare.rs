//! Where shards differ: settings, and columns of the same table. Pure. Out: what follows from a difference.

use super::facts::{Setting, ShardFacts, TableDetail};
use super::finding::{Finding, Problem, Severity};
use super::source::Source;
use crate::config::Protocol;

/// Settings that are compared, and how bad a difference is: an error where the same statement would mean something else.
const COMPARED: [(Setting, Severity); 14] = [
    (Setting::Version, Severity::Warning),
    (Setting::SqlMode, Severity::Error),
    (Setting::TimeZone, Severity::Error),
    (Setting::Collation, Severity::Error),
    (Setting::CollationVersion, Severity::Error),
    (Setting::Encoding, Severity::Error),
    (Setting::LowerCaseTableNames, Severity::Error),
    (Setting::Isolation, Severity::Warning),
    (Setting::DateStyle, Severity::Error),
    (Setting::IntervalStyle, Severity::Error),
    (Setting::StandardConformingStrings, Severity::Error),
    (Setting::ByteaOutput, Severity::Error),
    (Setting::ExtraFloatDigits, Severity::Warning),
    (Setting::DivPrecisionIncrement, Severity::Error),
];

/// What the settings of these shards say, each with the shard's name.
pub(super) fn settings_findings(source: &Source, shards: &[(&str, &ShardFacts)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |severity, shard: &str, problem| {
        findings.push(Finding { severity, shard: Some(shard.to_owned()), problem });
    };
    if let Some(((first, reference), others)) = shards.split_first() {
        for (shard, facts) in others {
            for (setting, severity) in COMPARED {
                let (value, other_value) = (facts.setting(setting), reference.setting(setting));
                if !same(setting, value, other_value) {
                    let problem = Problem::SettingDiffers {
                        setting: setting.name(),
                        value: value.to_owned(),
                        other: (*first).to_owned(),
                        other_value: other_value.to_owned(),
                    };
                    report(severity, shard, problem);
                }
            }
        }
    }
    for (shard, facts) in shards {
        if facts.setting(Setting::ReadOnly) == "on" {
            report(Severity::Error, shard, Problem::ReadOnly);
        }
        let prepared = facts.setting(Setting::MaxPreparedTransactions);
        if source.protocol == Protocol::Postgres && source.shards.len() > 1 && prepared == "0" {
            report(Severity::Warning, shard, Problem::NoPreparedTransactions);
        }
    }
    findings
}

fn same(setting: Setting, a: &str, b: &str) -> bool {
    if setting != Setting::SqlMode {
        return a == b;
    }
    // A set: the order of its words says nothing.
    let words = |text: &str| {
        let mut words: Vec<String> = text.split(',').map(|word| word.trim().to_ascii_uppercase()).collect();
        words.sort_unstable();
        words
    };
    words(a) == words(b)
}

/// The first difference between a table on one shard and on another. An error if rows of the two could be mixed up.
pub(super) fn difference(a: &TableDetail, b: &TableDetail) -> Option<(Severity, String)> {
    let error = |text| Some((Severity::Error, text));
    for (n, (a, b)) in a.columns.iter().zip(&b.columns).enumerate() {
        if a.name != b.name {
            return error(format!("column {} is {} instead of {}", n + 1, b.name, a.name));
        }
        if a.type_text != b.type_text || a.kind != b.kind {
            return error(format!("column {} is {} instead of {}", a.name, b.type_text, a.type_text));
        }
        if a.collation != b.collation {
            let name = |collation: &Option<String>| collation.clone().unwrap_or_else(|| "none".to_owned());
            return error(format!(
                "collation of column {} is {} instead of {}",
                a.name,
                name(&b.collation),
                name(&a.collation)
            ));
        }
        if a.nullable != b.nullable || a.default != b.default || a.on_update != b.on_update {
            return error(format!("column {} has another default or NOT NULL", a.name));
        }
    }
    if a.columns.len() != b.columns.len() {
        return error(format!("it has {} columns instead of {}", b.columns.len(), a.columns.len()));
    }
    let mut keys = [a, b].map(|detail| {
        let mut keys: Vec<_> = detail.unique_keys.iter().map(|key| key.columns.clone()).collect();
        keys.sort_unstable();
        keys
    });
    let [first, second] = &mut keys;
    (first != second).then(|| (Severity::Warning, "its unique keys are not the same".to_owned()))
}
