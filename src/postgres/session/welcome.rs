//! The first answer to a client that has logged in: the server's parameters, its key, `ReadyForQuery`.
//! In: startup settings, which the server of the default shard checks the first time it sees them.
//! Out: authentication.

use std::borrow::Cow;
use std::sync::Arc;

use protocol::postgres::{TransactionStatus, write};

use super::Session;
use super::answer;
use super::fault::{Fault, Stop};
use crate::config::Config;
use crate::error_code::MeshError;
use crate::postgres::front::Welcome;
use crate::postgres::settings::{self, SETTINGS_MAX, Settings};

/// What follows the shards' own version in `server_version`.
const VERSION_SUFFIX: &str = " (dbmesh)";

impl Session {
    /// Greets the client.
    ///
    /// # Errors
    /// A setting is refused, or the default shard cannot be asked: the session ends.
    pub(super) async fn welcome(&mut self, asked: &[(String, String)]) -> Result<(), Stop> {
        if asked.len() > SETTINGS_MAX {
            return Err(Stop::Fatal(MeshError::Limit(format!("more than {SETTINGS_MAX} startup settings"))));
        }
        asked.iter().for_each(|(name, _)| self.add_custom(name.as_bytes()));
        let welcome = match self.front.welcome(self.database, asked) {
            Some(welcome) => welcome,
            None => match self.learn_welcome(asked).await {
                Ok(welcome) => {
                    self.front.remember_welcome(self.database, asked, welcome.clone());
                    welcome
                }
                Err(Fault::Mesh(error)) => return Err(Stop::Fatal(error)),
                Err(Fault::Server(body)) => return Err(Stop::ServerFatal(body)),
                Err(Fault::Told) => return Err(Stop::Left),
                Err(Fault::Stop(stop)) => return Err(stop),
            },
        };
        self.settings = Arc::clone(&welcome.settings);
        self.startup = welcome.settings;
        for (name, value) in welcome.parameters.iter() {
            if name == "standard_conforming_strings" {
                self.modes.standard_conforming_strings = value == "on";
            }
            let shown = shown_value(&self.config, name, value);
            write::parameter_status(&mut self.client.output, name.as_bytes(), shown.as_bytes());
        }
        write::key_data(&mut self.client.output, self.entry.id, &self.entry.cancel_key.to_be_bytes());
        write::ready_for_query(&mut self.client.output, TransactionStatus::Idle);
        Ok(())
    }

    /// Asks the default shard what it makes of these settings.
    async fn learn_welcome(&mut self, asked: &[(String, String)]) -> Result<Welcome, Fault> {
        let shard = self.default_shard();
        // The session has no settings yet: the backend is made one without any.
        let index = self.hold(shard).await?;
        let mut parameters: Vec<(String, String)> = self.held[index].lease.parameters.to_vec();
        let mut settings = settings::none();
        let wanted = Settings::new(asked.to_vec());
        if let Some(sql) = settings.change_to(&wanted) {
            self.notes.parameters.clear();
            self.held[index].lease.memory.unlearnt = true;
            self.ask(index, &sql, false).await?;
            for (name, value, _) in self.notes.parameters.drain(..) {
                match parameters.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = value,
                    None => parameters.push((name, value)),
                }
            }
            self.learn(index).await?;
            settings = Arc::clone(&self.settings);
        }
        answer::check_encoding(settings.get("client_encoding"))?;
        Ok(Welcome { settings, parameters: Arc::new(parameters) })
    }
}

/// A parameter as clients see it: the version may be configured.
fn shown_value<'a>(config: &'a Config, name: &str, value: &'a str) -> Cow<'a, str> {
    match (name, &config.versions.postgres) {
        ("server_version", Some(version)) => version.into(),
        ("server_version", None) => format!("{value}{VERSION_SUFFIX}").into(),
        _ => value.into(),
    }
}
