//! Arguments of the `params` commands.

use super::ParamsError;

/// `--name value` and `--name` arguments of one command.
pub struct Args {
    given: Vec<(String, Option<String>)>,
}

impl Args {
    /// Reads `args`; `valued` flags take a value, `switches` none. Errors:
    /// [`ParamsError::BadRequest`] for anything else, or a flag without its value.
    pub fn parse(args: &[String], valued: &[&str], switches: &[&str]) -> Result<Self, ParamsError> {
        let mut given = Vec::new();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (arg.as_str(), None),
            };
            if valued.contains(&name) {
                let value = inline.or_else(|| rest.next().cloned()).ok_or_else(|| {
                    ParamsError::BadRequest(format!("{name} needs a value; write {name} VALUE"))
                })?;
                given.push((name.to_string(), Some(value)));
            } else if switches.contains(&name) && inline.is_none() {
                given.push((name.to_string(), None));
            } else {
                return Err(ParamsError::BadRequest(format!(
                    "{arg:?} is no argument here; possible are {}",
                    [valued, switches].concat().join(" ")
                )));
            }
        }
        Ok(Self { given })
    }

    /// All values of a flag that may be repeated.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.given
            .iter()
            .filter(|(n, _)| n == name)
            .filter_map(|(_, v)| v.as_deref())
            .collect()
    }

    /// The value of a flag that may be given once. Errors: given twice.
    pub fn one(&self, name: &str) -> Result<Option<&str>, ParamsError> {
        match self.all(name)[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(ParamsError::BadRequest(format!(
                "{name} is given twice; give it once"
            ))),
        }
    }

    /// Whether a switch is there.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(n, _)| n == name)
    }
}
