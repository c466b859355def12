//! Addresses to listen on and their TLS.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::error::Faults;
use crate::config::model::{Listen, Tls};
use crate::config::raw::{At, RawListen, RawTls};

use super::written_place;

pub(super) fn listen(raw: &RawListen, faults: &mut Faults<'_>) -> Listen {
    let written = [
        ("listen.mysql", &raw.mysql),
        ("listen.postgres", &raw.postgres),
        ("listen.admin_mysql", &raw.admin_mysql),
        ("listen.admin_postgres", &raw.admin_postgres),
        ("listen.http", &raw.http),
    ];
    let read = written.map(|(name, value)| address(name, value, faults));
    for (i, second) in read.iter().enumerate() {
        for (j, first) in read[..i].iter().enumerate() {
            let (Some(a), Some(b)) = (first, second) else {
                continue;
            };
            if clash(a, b) {
                let message = format!("`{}` and `{}` are both {b}", written[j].0, written[i].0);
                faults.add(&written_place(written[i].1, written[j].1), message);
            }
        }
    }
    let [mysql, postgres, admin_mysql, admin_postgres, http] = read;
    Listen { mysql, postgres, admin_mysql, admin_postgres, http }
}

/// Whether two listeners cannot both have their address. Port 0 means any free port and never clashes.
fn clash(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
        && a.is_ipv4() == b.is_ipv4()
}

fn address(name: &str, value: &At<String>, faults: &mut Faults<'_>) -> Option<SocketAddr> {
    if value.get_ref() == "off" {
        return None;
    }
    match value.get_ref().parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("`{name}` must be \"IP:PORT\" or \"off\", not \"{}\"", value.get_ref());
            faults.add(&value.span(), message);
            None
        }
    }
}

pub(super) fn tls(raw: &RawTls, folder: &Path, faults: &mut Faults<'_>) -> Option<Tls> {
    match (&raw.certificate, &raw.key) {
        (Some(certificate), Some(key)) => Some(Tls {
            certificate: folder.join(certificate.get_ref()),
            key: folder.join(key.get_ref()),
            require: *raw.require.get_ref(),
        }),
        (Some(certificate), None) => {
            faults.add(&certificate.span(), "`tls.certificate` without `tls.key`");
            None
        }
        (None, Some(key)) => {
            faults.add(&key.span(), "`tls.key` without `tls.certificate`");
            None
        }
        (None, None) => {
            if *raw.require.get_ref() {
                let message = "`tls.require` without `tls.certificate` and `tls.key`";
                faults.add(&raw.require.span(), message);
            }
            None
        }
    }
}
