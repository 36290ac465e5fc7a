//! A stand-in for the syslog daemon: collects what is sent to a `/dev/log`.

use std::{
    fs::{self, Permissions},
    net::Shutdown,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

use crate::{command::LIMIT, confidential::Confidential};

/// A datagram socket and the lines that arrived at it.
///
/// A thread reads them all the time: the kernel queues ten, and the eleventh sender would block.
#[derive(Debug)]
pub struct Log {
    socket: UnixDatagram,
    lines: Arc<Mutex<Vec<String>>>,
    marks: Mutex<Receiver<String>>,
    last_mark: AtomicU32,
    thread: Option<JoinHandle<Vec<String>>>,
    confidential: Confidential,
}

const MARK: &str = "\0mark ";

impl Log {
    /// Binds the socket at `path`; everybody may write to it.
    pub fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("bind the log socket");
        fs::set_permissions(path, Permissions::from_mode(0o666)).expect("open up the log socket");
        let reader = socket.try_clone().expect("clone the log socket");
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (send_mark, marks) = mpsc::channel();
        let kept = Arc::clone(&lines);
        let thread = thread::spawn(move || collect(&reader, &kept, &send_mark));
        Self {
            socket,
            lines,
            marks: Mutex::new(marks),
            last_mark: AtomicU32::new(0),
            thread: Some(thread),
            confidential: Confidential::default(),
        }
    }

    /// What must not stand in any line: when the log is dropped, it is searched.
    pub fn confidential(&self) -> &Confidential {
        &self.confidential
    }

    /// Every line that was sent before this call, oldest first.
    pub fn lines(&self) -> Vec<String> {
        let marks = self.marks.lock().expect("no reader of the log panicked");
        let number = self.last_mark.fetch_add(1, Ordering::Relaxed);
        // Datagrams keep their order: once ours came back, all earlier ones have been collected.
        let mark = format!("{MARK}{number}");
        let address = self.socket.local_addr().expect("the log's address");
        let path = address.as_pathname().expect("the log has a path");
        let sender = UnixDatagram::unbound().expect("a socket");
        sender.send_to(mark.as_bytes(), path).expect("mark the log");
        while marks.recv_timeout(LIMIT).expect("the mark comes back") != mark {}
        self.lines.lock().expect("the log's thread lives").clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The thread ends after the last line. Without effect only if it has ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
        let thread = self.thread.take().map(JoinHandle::join);
        if let Some(Ok(lines)) = thread
            && !thread::panicking()
        {
            let found = self.confidential.found_in(&lines);
            assert!(found.is_none(), "the log tells: {found:?}");
        }
    }
}

fn collect(
    socket: &UnixDatagram,
    lines: &Mutex<Vec<String>>,
    marks: &Sender<String>,
) -> Vec<String> {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = socket.recv(&mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if line.starts_with(MARK) {
            let _ = marks.send(line);
        } else {
            lines.lock().expect("nobody panics with the log").push(line);
        }
    }
    lines.lock().expect("nobody panics with the log").clone()
}

/// The lines of the module under test, each from `pam_mfa(` on: without priority, date and process.
pub fn of_module(lines: &[String]) -> Vec<String> {
    let ours = lines
        .iter()
        .filter_map(|line| line.find("pam_mfa(").map(|at| &line[at..]));
    ours.map(str::to_owned).collect()
}

/// The same without the answers that were refused on the way: what became of each login.
pub fn decisions(lines: &[String]) -> Vec<String> {
    let mut ours = of_module(lines);
    ours.retain(|line| !line.contains("): missed "));
    ours
}
