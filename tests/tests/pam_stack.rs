//! The crate `pam-stack` says of any stack what the real libpam makes of it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use mfa_tests::pam::{self, Application, Reply, Start, Transaction};
use pam_stack::{Code, Entry, Stack, What};
use proptest::{collection::vec, prelude::*, sample::select};
use tempfile::TempDir;

/// Nobody is at the other end, but counts: pam_debug.so writes what it says.
struct Nobody(Arc<AtomicUsize>);

impl Application for Nobody {
    fn converse(&mut self, _: i32, _: &str) -> Reply {
        self.0.fetch_add(1, SeqCst);
        Reply::Text(Vec::new())
    }

    fn delay(&mut self, _: i32, _: u32) {}
}

const ABORT: i32 = 26;

/// A service in files of its own.
struct Service(TempDir);

impl Service {
    /// `HERE/` stands for the folder of the files: Debian's libpam looks for what a file takes in
    /// in `/etc/pam.d`, wherever that file is.
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path();
        let confdir = root.join("etc/pam.d");
        fs::create_dir_all(&confdir).expect("a folder");
        for (name, text) in files {
            let text = text.replace("HERE", confdir.to_str().expect("a path in UTF-8"));
            fs::write(confdir.join(name), text).expect("write a file");
        }
        // The same paths for whoever sees this folder as the root.
        let itself = root.join(root.strip_prefix("/").expect("an absolute path"));
        fs::create_dir_all(itself.parent().expect("a folder")).expect("folders");
        symlink(root, itself).expect("a link");
        Self(dir)
    }

    /// What libpam says, and how many modules it asked.
    fn real(&self) -> (i32, usize) {
        let asked = Arc::new(AtomicUsize::new(0));
        let confdir = self.0.path().join("etc/pam.d");
        let start = Start {
            confdir: &confdir,
            service: "main",
            user: Some(OsStr::new("alice")),
            null_conversation: false,
        };
        let nobody = Nobody(Arc::clone(&asked));
        let said = match Transaction::start(start, Box::new(nobody)) {
            Ok(mut transaction) => transaction.authenticate(0),
            Err(code) => code,
        };
        (said, asked.load(SeqCst))
    }

    /// Whether the model finds a way in, and to how many modules it finds one; pam_debug.so says what
    /// its argument says.
    fn foreseen(&self) -> (bool, usize) {
        let Ok(stack) = Stack::read(self.0.path(), "main") else {
            return (false, 0);
        };
        let asked = (0..stack.entries.len()).filter(|place| {
            let is_module = stack.entries[*place].is("pam_debug.so");
            is_module && stack.way_to(*place, says).is_some()
        });
        (stack.way_in(says).is_some(), asked.count())
    }
}

fn says(entry: &Entry) -> Vec<Code> {
    let What::Module(module, arguments) = &entry.what else {
        panic!("{entry:?} says nothing");
    };
    let argument = arguments
        .first()
        .and_then(|argument| argument.strip_prefix("auth="));
    let said = match (module.as_str(), argument) {
        ("pam_debug.so", said) => said.unwrap_or("success"),
        // There is no such file.
        _ => "module_unknown",
    };
    Code::all().filter(|code| code.name() == said).collect()
}

/// Mostly what leads elsewhere: a jump, an end, a change of mind.
fn control() -> impl Strategy<Value = String> {
    let actions = vec![
        "ok", "done", "bad", "die", "ignore", "reset", "1", "1", "2", "2", "3", "9",
    ];
    let both = (select(actions.clone()), select(actions.clone()))
        .prop_map(|(success, default)| format!("[success={success} default={default}]"));
    let values = vec![
        "success",
        "auth_err",
        "ignore",
        "new_authtok_reqd",
        "default",
    ];
    let pair = (select(values), select(actions)).prop_map(|(v, a)| format!("{v}={a}"));
    prop_oneof![
        3 => select(vec!["required", "requisite", "sufficient", "optional"]).prop_map(str::to_owned),
        6 => both,
        2 => vec(pair, 0..4).prop_map(|pairs| format!("[{}]", pairs.join(" "))),
        1 => select(vec!["what", "[success=]", "[success=0]", ""]).prop_map(str::to_owned),
    ]
}

fn module() -> impl Strategy<Value = String> {
    let codes = vec![
        "success",
        "success",
        "auth_err",
        "ignore",
        "new_authtok_reqd",
    ];
    (control(), select(codes))
        .prop_map(|(control, code)| format!("auth {control} pam_debug.so auth={code}\n"))
}

/// Lines of a file, some of which take in one of the others.
fn file(others: &'static [&'static str]) -> impl Strategy<Value = String> {
    let odd = [
        "# auth required\n",
        "account required pam_deny.so\n",
        "auht x y\n",
        "\r\n",
        "auth sufficient pam_debug.so\r\n",
        "auth sufficient pam_debug.so auth=success x\r\n",
        "auth \\\n  sufficient pam_debug.so \\\nauth=success # why\n",
    ];
    let odd = select(odd.to_vec()).prop_map(str::to_owned);
    let include = (
        select(vec!["include", "substack", "substack"]),
        select([others, &["gone"]].concat()),
    )
        .prop_map(|(how, what)| format!("auth {how} HERE/{what}\n"));
    let taken = match others {
        [] => include.boxed(),
        others => prop_oneof![
            2 => include,
            1 => select(others).prop_map(|what| format!("@include HERE/{what}\n")),
        ]
        .boxed(),
    };
    vec(prop_oneof![12 => module(), 6 => taken, 1 => odd], 1..7).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_stack_comes_to_what_was_foreseen(
        main in file(&["a", "b"]), a in file(&["b"]), b in file(&[]), other in file(&[]),
    ) {
        let service = Service::new(&[("main", &main), ("a", &a), ("b", &b), ("other", &other)]);
        let (said, asked) = service.real();
        prop_assert_eq!(
            (said == pam::SUCCESS, asked), service.foreseen(),
            "main:\n{}a:\n{}b:\n{}other:\n{}", main, a, b, other
        );
    }
}

#[test]
fn what_debian_takes_in_and_is_not_there_ends_the_service() {
    let service = Service::new(&[
        ("main", "auth required pam_debug.so\n@include HERE/gone\n"),
        ("other", "auth required pam_debug.so\n"),
    ]);
    assert_eq!(service.real(), (ABORT, 0));
    assert_eq!(service.foreseen(), (false, 0));
}
