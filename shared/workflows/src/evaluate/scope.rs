//! The variables that a step sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::evaluate::memory::Meter;
use crate::exception::Exception;
use crate::value::{Text, Value};

/// The variables of a routine: one layer for the routine, and one for each loop, `except` or parallel branch around the step.
#[derive(Debug)]
pub(crate) struct Scope {
    layers: Vec<Layer>,
    memory: Meter,
}

type Layer = HashMap<Text, Slot>;

#[derive(Debug, Clone)]
enum Slot {
    Own(Held),
    /// Written by the branches of a parallel step under way.
    Shared(Arc<Mutex<Held>>),
}

/// A value and the bytes that are counted for it. What a branch reads of the steps around it is counted there.
#[derive(Debug, Clone)]
struct Held {
    value: Value,
    bytes: usize,
}

impl Held {
    fn put(&mut self, value: Value, memory: &Meter) -> Result<(), Exception> {
        self.bytes = memory.replace(self.bytes, &value)?;
        self.value = value;
        Ok(())
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut Value) -> Result<(), Exception>,
        memory: &Meter,
    ) -> Result<(), Exception> {
        change(&mut self.value)?;
        self.bytes = memory.replace(self.bytes, &self.value)?;
        Ok(())
    }
}

impl Slot {
    fn get(&self) -> Value {
        match self {
            Self::Own(held) => held.value.clone(),
            Self::Shared(cell) => cell.lock().unwrap_or_else(PoisonError::into_inner).value.clone(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Own(held) => held.bytes,
            Self::Shared(_) => 0,
        }
    }
}

impl Scope {
    /// A routine's own scope, with its parameters.
    pub(super) fn new(parameters: impl IntoIterator<Item = (Text, Value)>, memory: &Meter) -> Result<Self, Exception> {
        let mut scope = Self { layers: vec![Layer::new()], memory: memory.clone() };
        for (name, value) in parameters {
            scope.declare(&name, value)?;
        }
        Ok(scope)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.layers.iter().rev().find_map(|layer| layer.get(name)).map(Slot::get)
    }

    /// Assigns where the variable lives, or makes it in the innermost layer.
    pub(crate) fn set(&mut self, name: &Text, value: Value) -> Result<(), Exception> {
        match slot(&mut self.layers, name) {
            Some(Slot::Own(held)) => held.put(value, &self.memory),
            Some(Slot::Shared(cell)) => cell.lock().unwrap_or_else(PoisonError::into_inner).put(value, &self.memory),
            None => self.declare(name, value),
        }
    }

    /// Makes the variable in the innermost layer.
    pub(crate) fn declare(&mut self, name: &Text, value: Value) -> Result<(), Exception> {
        let Some(layer) = self.layers.last_mut() else { return Ok(()) };
        let before = layer.get(name).map_or(0, Slot::bytes);
        let bytes = self.memory.replace(before, &value)?;
        layer.insert(name.clone(), Slot::Own(Held { value, bytes }));
        Ok(())
    }

    /// Changes a variable in place.
    pub(crate) fn update(
        &mut self,
        name: &Text,
        change: impl FnOnce(&mut Value) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        match slot(&mut self.layers, name) {
            Some(Slot::Own(held)) => held.change(change, &self.memory),
            Some(Slot::Shared(cell)) => {
                cell.lock().unwrap_or_else(PoisonError::into_inner).change(change, &self.memory)
            }
            None => Err(Exception::key_error(format!("variable \"{name}\" has not been assigned yet"))),
        }
    }

    /// Opens a layer: what is made from now on is gone after [`Scope::leave`].
    pub(crate) fn enter(&mut self) {
        self.layers.push(Layer::new());
    }

    pub(crate) fn leave(&mut self) {
        if let Some(layer) = self.layers.pop() {
            self.release(&layer);
        }
    }

    /// What a branch of a parallel step starts from: copies of everything, except for the shared variables.
    pub(crate) fn branch(&self) -> Self {
        let copied = |slot: &Slot| match slot {
            Slot::Own(held) => Slot::Own(Held { value: held.value.clone(), bytes: 0 }),
            Slot::Shared(cell) => Slot::Shared(cell.clone()),
        };
        let mut layers: Vec<Layer> = self
            .layers
            .iter()
            .map(|layer| layer.iter().map(|(name, slot)| (name.clone(), copied(slot))).collect())
            .collect();
        layers.push(Layer::new());
        Self { layers, memory: self.memory.clone() }
    }

    /// Makes `names` shared and returns those that were not yet, for [`Scope::unshare`].
    pub(crate) fn share(&mut self, names: &[Text]) -> Result<Vec<Text>, Exception> {
        let mut changed = Vec::new();
        for name in names {
            match slot(&mut self.layers, name) {
                Some(slot) => {
                    if let Slot::Own(held) = slot {
                        *slot = Slot::Shared(Arc::new(Mutex::new(held.clone())));
                        changed.push(name.clone());
                    }
                }
                None => {
                    return Err(Exception::key_error(format!("shared variable \"{name}\" has not been assigned yet")));
                }
            }
        }
        Ok(changed)
    }

    pub(crate) fn unshare(&mut self, names: &[Text]) {
        for name in names {
            if let Some(slot) = slot(&mut self.layers, name)
                && let Slot::Shared(cell) = slot
            {
                let held = cell.lock().unwrap_or_else(PoisonError::into_inner).clone();
                *slot = Slot::Own(held);
            }
        }
    }

    fn release(&self, layer: &Layer) {
        self.memory.release(layer.values().map(Slot::bytes).sum());
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        for layer in std::mem::take(&mut self.layers) {
            self.release(&layer);
        }
    }
}

fn slot<'a>(layers: &'a mut [Layer], name: &str) -> Option<&'a mut Slot> {
    layers.iter_mut().rev().find_map(|layer| layer.get_mut(name))
}
