//! Logins: where each secret comes from (text, environment, file), and which combinations contradict each other.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use protocol::postgres::scram::Verifier;

use crate::config::error::{Faults, NOWHERE, Place};
use crate::config::model::{Admin, Credential, Listen, User};
use crate::config::raw::{At, RawAdmin, RawDatabase, RawUser};
use crate::config::{AuthMethod, Secret, TransactionType};

use super::{name, once};

/// The three ways to give a password.
pub(super) struct Sources<'r> {
    /// Section, for messages.
    pub section: &'static str,
    /// As text.
    pub text: Option<&'r At<String>>,
    /// Name of an environment variable.
    pub env: Option<&'r At<String>>,
    /// Path of a file.
    pub file: Option<&'r At<String>>,
}

impl Sources<'_> {
    /// Reads the one that is given; none is no fault.
    pub(super) fn read(&self, folder: &Path, faults: &mut Faults<'_>) -> Option<Secret> {
        let given = [self.text, self.env, self.file];
        let mut places = given.iter().flatten();
        if let (Some(_), Some(second)) = (places.next(), places.next()) {
            let s = self.section;
            let message = format!("give one of `{s}.password`, `{s}.password_env`, `{s}.password_file`");
            faults.add(&second.span(), message);
            return None;
        }
        if let Some(text) = self.text {
            return Some(Secret::new(text.get_ref().clone()));
        }
        if let Some(env) = self.env {
            return from_environment(env, faults);
        }
        let file = self.file?;
        let path = folder.join(file.get_ref());
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                let message = format!("cannot read the password file {}: {error}", path.display());
                faults.add(&file.span(), message);
                None
            }
        }
    }
}

fn from_environment(env: &At<String>, faults: &mut Faults<'_>) -> Option<Secret> {
    let variable = env.get_ref();
    // `std::env::var` takes any name but an empty one, or one with `=` or NUL in it, which it reports as not present.
    match std::env::var(variable) {
        Ok(text) => Some(Secret::new(text)),
        Err(std::env::VarError::NotPresent) => {
            let message = format!("the environment variable `{variable}` is not set");
            faults.add(&env.span(), message);
            None
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            let message = format!("the environment variable `{variable}` is not UTF-8");
            faults.add(&env.span(), message);
            None
        }
    }
}

pub(super) fn admin(raw: &RawAdmin, listen: &Listen, folder: &Path, faults: &mut Faults<'_>) -> Admin {
    let text_is_default = raw.password.span() == NOWHERE;
    let other_given = raw.password_env.is_some() || raw.password_file.is_some();
    let sources = Sources {
        section: "admin",
        text: (!text_is_default || !other_given).then_some(&raw.password),
        env: raw.password_env.as_ref(),
        file: raw.password_file.as_ref(),
    };
    let open = [listen.admin_mysql, listen.admin_postgres].into_iter().flatten().find(|a| !a.ip().is_loopback());
    if let Some(address) = open.filter(|_| text_is_default && !other_given) {
        let message = format!("an admin address that is not loopback ({address}) needs `admin.password`");
        faults.add(&NOWHERE, message);
    }
    let password = sources.read(folder, faults).unwrap_or_default();
    if password.expose().is_empty() && faults.is_empty() {
        faults.add(&raw.password.span(), "the password of the admin user is empty");
    }
    if raw.user.get_ref().is_empty() {
        faults.add(&raw.user.span(), "`admin.user` is empty");
    }
    Admin { user: raw.user.get_ref().clone(), password }
}

pub(super) fn users(
    raw: &[At<RawUser>],
    databases: &[At<RawDatabase>],
    listen: &Listen,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Vec<User> {
    let mut seen = HashSet::new();
    let mut users = Vec::new();
    for at in raw {
        let user = at.get_ref();
        let Some(name) = name(user.name.as_ref(), "user.name", &at.span(), faults) else {
            // The rest is checked all the same, so that every fault shows at once.
            credential(user, "?", &at.span(), listen, folder, faults);
            continue;
        };
        let place = place_of(user.name.as_ref(), &at.span());
        let twice = || format!("user `{name}` is there twice");
        once(&mut seen, name, &place, twice, faults);
        allowed_databases(user, databases, faults);
        let Some(credential) = credential(user, name, &at.span(), listen, folder, faults) else {
            continue;
        };
        let list = user.databases.as_ref().map(At::get_ref);
        users.push(User {
            name: name.to_owned(),
            credential,
            databases: list.map(|l| l.iter().map(|d| d.get_ref().clone()).collect()),
            transaction_type: user.transaction_type.as_ref().and_then(|t| TransactionType::from_word(t.get_ref())),
        });
    }
    users
}

fn allowed_databases(user: &RawUser, databases: &[At<RawDatabase>], faults: &mut Faults<'_>) {
    for allowed in user.databases.iter().flat_map(|l| l.get_ref()) {
        let known = databases.iter().any(|d| {
            let name = d.get_ref().name.as_ref();
            name.is_some_and(|n| n.get_ref() == allowed.get_ref())
        });
        if !known {
            let message = format!("there is no [[database]] `{}`", allowed.get_ref());
            faults.add(&allowed.span(), message);
        }
    }
}

fn credential(
    user: &RawUser,
    name: &str,
    owner: &Place,
    listen: &Listen,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<Credential> {
    let sources = Sources {
        section: "user",
        text: user.password.as_ref(),
        env: user.password_env.as_ref(),
        file: user.password_file.as_ref(),
    };
    let has_password = sources.text.is_some() || sources.env.is_some() || sources.file.is_some();
    let auth = AuthMethod::from_word(user.auth.get_ref())?;
    match (auth, &user.scram) {
        (AuthMethod::Trust, scram) => {
            if has_password || scram.is_some() {
                let message = format!("user `{name}` has auth = \"trust\" and a password");
                faults.add(&user.auth.span(), message);
            }
            let open = [listen.mysql, listen.postgres];
            if let Some(address) = open.iter().flatten().find(|a: &&SocketAddr| !a.ip().is_loopback()) {
                let message = format!(
                    "user `{name}` has auth = \"trust\", which works on loopback only, and there is a listener on {address}"
                );
                faults.add(&user.auth.span(), message);
            }
            Some(Credential::Trust)
        }
        (_, Some(scram)) if has_password => {
            let message = format!("user `{name}` has a password and `user.scram`: give one");
            faults.add(&scram.span(), message);
            None
        }
        (AuthMethod::Md5, Some(scram)) => {
            let message = format!("user `{name}` has auth = \"md5\", which needs a password");
            faults.add(&scram.span(), message);
            None
        }
        (AuthMethod::Password, Some(scram)) => {
            if Verifier::parse(scram.get_ref()).is_none() {
                let message = "`user.scram` must look like SCRAM-SHA-256$4096:salt$stored:server";
                faults.add(&scram.span(), message);
            }
            Some(Credential::ScramVerifier(Secret::new(scram.get_ref().clone())))
        }
        (_, None) if !has_password => {
            let keys = ["user.password", "user.password_env", "user.password_file", "user.scram"];
            if keys.iter().any(|k| faults.was_taken_out(k, owner)) {
                return None;
            }
            let message =
                format!("user `{name}` has no password: give `password`, `password_env`, `password_file` or `scram`");
            faults.add(&place_of(user.name.as_ref(), owner), message);
            None
        }
        (AuthMethod::Password, None) => sources.read(folder, faults).map(Credential::Password),
        (AuthMethod::Md5, None) => sources.read(folder, faults).map(Credential::Md5),
    }
}

/// Where a name stands, or else its owner.
pub(super) fn place_of(value: Option<&At<String>>, owner: &Place) -> Place {
    value.map_or_else(|| owner.clone(), At::span)
}
