//! What follows from what a module says.

use crate::code::Code;

/// What libpam does after a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// As if the module were not there.
    Ignore,
    /// Yes, unless something said no.
    Ok,
    /// Yes, and the stack ends, unless something said no.
    Done,
    /// No.
    Bad,
    /// No, and the stack ends.
    Die,
    /// What was said so far is forgotten.
    Reset,
    /// So many lines are left out.
    Jump(usize),
}

/// An action for each return value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control([Action; 32]);

impl Control {
    /// After this code.
    pub fn after(&self, code: Code) -> Action {
        self.0.get(code.number()).copied().unwrap_or(Action::Bad)
    }

    /// A word, or the text between `[` and `]` (pam.conf(5)); what libpam does not understand is
    /// always "no". None for `include` and `substack`, which are no controls.
    pub(crate) fn parse(text: &str) -> Control {
        let known = |success, default| {
            let mut actions = [default; 32];
            for (code, action) in [
                (Code::SUCCESS, success),
                (Code::NEW_AUTHTOK_REQD, success),
                (Code::IGNORE, Action::Ignore),
            ] {
                set(&mut actions, code, action);
            }
            Control(actions)
        };
        match text.to_ascii_lowercase().as_str() {
            "required" => known(Action::Ok, Action::Bad),
            "requisite" => known(Action::Ok, Action::Die),
            "sufficient" => known(Action::Done, Action::Ignore),
            "optional" => known(Action::Ok, Action::Ignore),
            _ => pairs(text).unwrap_or(Control::NO),
        }
    }

    /// Always "no".
    pub(crate) const NO: Control = Control([Action::Bad; 32]);
}

fn set(actions: &mut [Action; 32], code: Code, action: Action) {
    if let Some(place) = actions.get_mut(code.number()) {
        *place = action;
    }
}

/// `value=action value=action`; `default` is for every value that was not named before it. The first
/// that cannot be read spoils the whole.
fn pairs(text: &str) -> Option<Control> {
    let mut actions: [Option<Action>; 32] = [None; 32];
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let (code, after) = match Code::at_start(rest) {
            Some((code, after)) => (Some(code), after),
            None => (None, rest.strip_prefix("default")?),
        };
        let after = after.trim_ascii_start().strip_prefix('=')?;
        let (action, after) = action(after.trim_ascii_start())?;
        match code {
            Some(code) => *actions.get_mut(code.number())? = Some(action),
            None => actions.iter_mut().for_each(|place| {
                place.get_or_insert(action);
            }),
        }
        rest = after.trim_ascii_start();
    }
    Some(Control(actions.map(|action| action.unwrap_or(Action::Bad))))
}

fn action(text: &str) -> Option<(Action, &str)> {
    let words = [
        ("ignore", Action::Ignore),
        ("ok", Action::Ok),
        ("done", Action::Done),
        ("bad", Action::Bad),
        ("die", Action::Die),
        ("reset", Action::Reset),
    ];
    let mut words = words.into_iter();
    let word = words.find_map(|(word, action)| Some((action, text.strip_prefix(word)?)));
    word.or_else(|| {
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
        let lines = digits.parse().ok().filter(|lines| *lines > 0)?;
        Some((Action::Jump(lines), rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_pairs_say_the_same() {
        for (word, pairs) in [
            (
                "required",
                "success=ok new_authtok_reqd=ok ignore=ignore default=bad",
            ),
            (
                "Requisite",
                "success=ok new_authtok_reqd=ok ignore=ignore default=die",
            ),
            (
                "sufficient",
                "success=done new_authtok_reqd=done default=ignore",
            ),
            (
                "optional",
                " success = ok new_authtok_reqd=ok  default=ignore ",
            ),
            ("what?", "success=maybe"),
            ("success=ok", "success=ok default=bad"),
            ("default=ignore success=ok", "success=ok default=ignore"),
        ] {
            assert_eq!(Control::parse(word), Control::parse(pairs), "{word}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no() {
        for text in [
            "success=0",
            "success",
            "success=",
            "=ok",
            "success=ok x",
            "success=-1",
        ] {
            assert_eq!(Control::parse(text), Control::NO, "{text}");
        }
        let jump = Control::parse("success=2 default=ignore");
        assert_eq!(jump.after(Code::SUCCESS), Action::Jump(2));
        assert_eq!(jump.after(Code::AUTH_ERR), Action::Ignore);
    }
}
