//! The variables that a step sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::exception::Exception;
use crate::value::{Text, Value};

/// The variables of a routine: one layer for the routine, and one for each loop, `except` or parallel branch around the step.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    layers: Vec<Layer>,
}

type Layer = HashMap<Text, Slot>;

#[derive(Debug, Clone)]
enum Slot {
    Own(Value),
    /// Written by the branches of a parallel step under way.
    Shared(Arc<Mutex<Value>>),
}

impl Slot {
    fn get(&self) -> Value {
        match self {
            Self::Own(value) => value.clone(),
            Self::Shared(cell) => cell.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Scope {
    /// A routine's own scope, with its parameters.
    pub(crate) fn new(parameters: impl IntoIterator<Item = (Text, Value)>) -> Self {
        Self { layers: vec![parameters.into_iter().map(|(name, value)| (name, Slot::Own(value))).collect()] }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.layers.iter().rev().find_map(|layer| layer.get(name)).map(Slot::get)
    }

    /// Assigns where the variable lives, or makes it in the innermost layer.
    pub(crate) fn set(&mut self, name: &Text, value: Value) {
        match self.slot(name) {
            Some(Slot::Own(known)) => *known = value,
            Some(Slot::Shared(cell)) => *cell.lock().unwrap_or_else(PoisonError::into_inner) = value,
            None => self.declare(name, value),
        }
    }

    /// Makes the variable in the innermost layer.
    pub(crate) fn declare(&mut self, name: &Text, value: Value) {
        if let Some(layer) = self.layers.last_mut() {
            layer.insert(name.clone(), Slot::Own(value));
        }
    }

    /// Changes a variable in place.
    pub(crate) fn update(
        &mut self,
        name: &Text,
        change: impl FnOnce(&mut Value) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        match self.slot(name) {
            Some(Slot::Own(value)) => change(value),
            Some(Slot::Shared(cell)) => change(&mut cell.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Err(Exception::key_error(format!("variable \"{name}\" has not been assigned yet"))),
        }
    }

    /// Opens a layer: what is made from now on is gone after [`Scope::leave`].
    pub(crate) fn enter(&mut self) {
        self.layers.push(Layer::new());
    }

    pub(crate) fn leave(&mut self) {
        self.layers.pop();
    }

    /// What a branch of a parallel step starts from: copies of everything, except for the shared variables.
    pub(crate) fn branch(&self) -> Self {
        let mut layers = self.layers.clone();
        layers.push(Layer::new());
        Self { layers }
    }

    /// Makes `names` shared and returns those that were not yet, for [`Scope::unshare`].
    pub(crate) fn share(&mut self, names: &[Text]) -> Result<Vec<Text>, Exception> {
        let mut changed = Vec::new();
        for name in names {
            match self.slot(name) {
                Some(slot @ Slot::Own(_)) => {
                    *slot = Slot::Shared(Arc::new(Mutex::new(slot.get())));
                    changed.push(name.clone());
                }
                Some(Slot::Shared(_)) => {}
                None => {
                    return Err(Exception::key_error(format!("shared variable \"{name}\" has not been assigned yet")));
                }
            }
        }
        Ok(changed)
    }

    pub(crate) fn unshare(&mut self, names: &[Text]) {
        for name in names {
            if let Some(slot) = self.slot(name) {
                *slot = Slot::Own(slot.get());
            }
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Slot> {
        self.layers.iter_mut().rev().find_map(|layer| layer.get_mut(name))
    }
}
