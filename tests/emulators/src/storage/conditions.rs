//! Preconditions on the generation of an object.

use axum::body::Body;
use axum::http::Response;

use super::{Parameters, invalid};

/// What must hold of the generation that is there. 0 stands for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    matches: Option<u64>,
    differs: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Yes,
    No,
    /// It is what the caller has already.
    NotModified,
}

impl Conditions {
    pub(crate) fn of(parameters: &Parameters) -> Result<Self, Response<Body>> {
        let number = |key: &str| match parameters.get(key) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| invalid(format_args!("{key} is not a generation"))),
        };
        Ok(Self { matches: number("ifGenerationMatch")?, differs: number("ifGenerationNotMatch")? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn check(&self, current: u64) -> Held {
        if self.matches.is_some_and(|wanted| wanted != current) {
            Held::No
        } else if self.differs == Some(current) {
            Held::NotModified
        } else {
            Held::Yes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, wanted: &str, current: u64) -> Held {
        let parameters = Parameters::from([(key.to_owned(), wanted.to_owned())]);
        Conditions::of(&parameters).unwrap().check(current)
    }

    #[test]
    fn zero_means_that_there_is_none() {
        assert_eq!(check("ifGenerationMatch", "0", 0), Held::Yes);
        assert_eq!(check("ifGenerationMatch", "0", 5), Held::No);
        assert_eq!(check("ifGenerationNotMatch", "0", 0), Held::NotModified);
        assert_eq!(check("ifGenerationNotMatch", "0", 5), Held::Yes);
    }

    #[test]
    fn a_generation_must_be_the_same_or_another() {
        assert_eq!(check("ifGenerationMatch", "5", 5), Held::Yes);
        assert_eq!(check("ifGenerationMatch", "5", 6), Held::No);
        assert_eq!(check("ifGenerationNotMatch", "5", 5), Held::NotModified);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(Conditions::of(&Parameters::from([("ifGenerationMatch".to_owned(), "x".to_owned())])).is_err());
    }
}
