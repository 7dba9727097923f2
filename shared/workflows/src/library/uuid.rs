//! `uuid.*`

use uuid::Uuid;

use crate::library::{Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "uuid.generate",
    parameters: &[],
    required: 0,
    body: Body::Pure(|_, _| Ok(Value::text(Uuid::new_v4().to_string()))),
}];
