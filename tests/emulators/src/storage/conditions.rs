//! Preconditions on the generation of an object.

use super::Parameters;
use crate::refusal::Refusal;

/// What must hold of the generation that is there. 0 stands for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    matches: Option<u64>,
    differs: Option<u64>,
}

impl Conditions {
    pub(crate) fn of(parameters: &Parameters) -> Result<Self, Refusal> {
        let number = |key: &str| match parameters.get(key) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Refusal::invalid(format!("{key} is not a generation"))),
        };
        Ok(Self { matches: number("ifGenerationMatch")?, differs: number("ifGenerationNotMatch")? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For a change.
    pub(crate) fn check(&self, current: u64) -> Result<(), Refusal> {
        let holds = self.matches.is_none_or(|wanted| wanted == current) && self.differs != Some(current);
        let message = "At least one of the pre-conditions you specified did not hold.";
        holds.then_some(()).ok_or_else(|| Refusal::new("conditionNotMet", message))
    }

    /// For a read, where what the caller has already is no error.
    pub(crate) fn check_read(&self, current: u64) -> Result<(), Refusal> {
        if self.differs == Some(current) && self.matches.is_none_or(|wanted| wanted == current) {
            return Err(Refusal::new("notModified", ""));
        }
        self.check(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(key: &str, wanted: &str) -> Conditions {
        Conditions::of(&Parameters::from([(key.to_owned(), wanted.to_owned())])).unwrap()
    }

    #[test]
    fn zero_means_that_there_is_none() {
        assert!(conditions("ifGenerationMatch", "0").check(0).is_ok());
        assert!(conditions("ifGenerationMatch", "0").check(5).is_err());
        assert!(conditions("ifGenerationNotMatch", "0").check(0).is_err());
        assert!(conditions("ifGenerationNotMatch", "0").check(5).is_ok());
    }

    #[test]
    fn a_generation_must_be_the_same_or_another() {
        assert!(conditions("ifGenerationMatch", "5").check(5).is_ok());
        assert!(conditions("ifGenerationMatch", "5").check(6).is_err());
        assert!(conditions("ifGenerationNotMatch", "5").check(5).is_err());
    }

    #[test]
    fn a_reader_is_told_that_it_has_it_already() {
        let reason = |key, current| conditions(key, "5").check_read(current).unwrap_err().reason;
        assert_eq!(reason("ifGenerationNotMatch", 5), "notModified");
        assert_eq!(reason("ifGenerationMatch", 6), "conditionNotMet");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(Conditions::of(&Parameters::from([("ifGenerationMatch".to_owned(), "x".to_owned())])).is_err());
    }
}
