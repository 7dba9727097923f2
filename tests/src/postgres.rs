//! A PostgreSQL server of a test's own, from the programs that are installed on this machine.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::did_not_run;

/// What the role `reader` has to say.
pub const PASSWORD: &str = "not-in-any-file";

/// Who may do what: the owner everything by the socket, the reader with the password. Over the network only with TLS.
const HBA: &str =
    "local all owner trust\nlocal all reader scram-sha-256\nhostssl all reader 127.0.0.1/32 scram-sha-256\n";

/// The user and group that nothing belongs to. A server refuses to run as root.
const NOBODY: u32 = 65534;

/// A running server with the database `shop`. It ends when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// Where it listens for TLS, if it does.
    pub port: u16,
}

impl Postgres {
    /// A server on a socket. Without the programs it says that `test` did not run.
    pub fn start(test: &str) -> Option<Self> {
        Self::started(test, None)
    }

    /// A server on a port of `localhost` too, with the certificate and key that `make` writes into the folder that it is given,
    /// as `server.crt` and `server.key`.
    pub fn start_with_tls(test: &str, make: impl FnOnce(&Path)) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        Self::started(test, Some(folder.path()))
    }

    fn started(test: &str, certificate: Option<&Path>) -> Option<Self> {
        let Some(programs) = programs() else {
            did_not_run(test, "there is no PostgreSQL server here; install the package postgresql");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        belong_to_server(folder.path());
        // Free a moment ago; nobody else asks for it by its number.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, programs, port };
        let data = server.data();
        let made = ["--username=owner", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"];
        run(server.program("initdb").args(made).arg(&data));
        fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        let mut settings = format!("fsync=off\nunix_socket_directories='{}'\nport={port}\n", server.socket().display());
        match certificate {
            None => settings += "listen_addresses=''\n",
            Some(from) => {
                settings += "listen_addresses='127.0.0.1'\nssl=on\n";
                for file in ["server.crt", "server.key"] {
                    fs::copy(from.join(file), data.join(file)).unwrap();
                    belong_to_server(&data.join(file));
                }
            }
        }
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &settings).unwrap();
        let log = server.socket().join("log");
        run(server
            .program("pg_ctl")
            .args(["start", "--wait", "--silent", "--pgdata"])
            .arg(&data)
            .arg("--log")
            .arg(log));
        server.sql_in("postgres", "create database shop");
        server.sql(&format!("create role reader login password '{PASSWORD}'"));
        Some(server)
    }

    /// The folder of the socket.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of the server's, as whoever the server runs as.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // What it leaves running must not keep the test's output open.
        command.current_dir(self.socket()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs statements as the owner.
    #[track_caller]
    pub fn sql(&self, statements: &str) {
        self.sql_in("shop", statements);
    }

    #[track_caller]
    fn sql_in(&self, database: &str, statements: &str) {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=owner", "--host"]);
        command.arg(self.socket()).args(["--port", &self.port.to_string(), "--dbname", database]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The source as a pipeline file names it: by the socket, with the password in the variable `SHOP_PASSWORD`.
    pub fn source(&self) -> String {
        format!(
            "{{kind: postgres, host: {}, port: {}, database: shop, user: reader, password: {{environment: SHOP_PASSWORD}}}}",
            self.socket().display(),
            self.port
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = self.program("pg_ctl").args(["stop", "--wait", "--mode=immediate", "--pgdata"]).arg(data).status();
    }
}

/// Where the newest server's programs are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let of_packages = versions.map(|version| version.path().join("bin"));
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let asked = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let mut found: Vec<PathBuf> = of_packages.chain(asked).filter(|folder| folder.join("initdb").exists()).collect();
    found.sort();
    found.pop()
}

/// The server reads its own files only, and of its key demands it.
fn belong_to_server(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    if geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} ended with {status}");
}
