//! `hash.*`

use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "hash.compute_checksum",
        parameters: &["data", "algorithm"],
        required: 2,
        body: Body::Pure(|arguments, _| checksum(arguments)),
    },
    Function {
        name: "hash.compute_hmac",
        parameters: &["key", "data", "algorithm"],
        required: 3,
        body: Body::Pure(|arguments, _| code(arguments)),
    },
];

fn checksum(arguments: &Arguments) -> Result<Value, Exception> {
    let (data, algorithm) = (arguments.bytes(0)?, arguments.text(1)?);
    Ok(Value::Bytes(match &**algorithm {
        "MD5" => md5::Md5::digest(data).as_slice().into(),
        "SHA1" => sha1::Sha1::digest(data).as_slice().into(),
        "SHA224" => sha2::Sha224::digest(data).as_slice().into(),
        "SHA256" => sha2::Sha256::digest(data).as_slice().into(),
        "SHA384" => sha2::Sha384::digest(data).as_slice().into(),
        "SHA512" => sha2::Sha512::digest(data).as_slice().into(),
        other => return Err(unknown("hash.compute_checksum", other)),
    }))
}

fn code(arguments: &Arguments) -> Result<Value, Exception> {
    let (key, data, algorithm) = (arguments.bytes(0)?, arguments.bytes(1)?, arguments.text(2)?);
    match &**algorithm {
        "MD5" => mac::<Hmac<md5::Md5>>(key, data),
        "SHA1" => mac::<Hmac<sha1::Sha1>>(key, data),
        "SHA224" => mac::<Hmac<sha2::Sha224>>(key, data),
        "SHA256" => mac::<Hmac<sha2::Sha256>>(key, data),
        "SHA384" => mac::<Hmac<sha2::Sha384>>(key, data),
        "SHA512" => mac::<Hmac<sha2::Sha512>>(key, data),
        other => Err(unknown("hash.compute_hmac", other)),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Result<Value, Exception> {
    let mut mac = <M as KeyInit>::new_from_slice(key)
        .map_err(|error| Exception::value_error(format!("hash.compute_hmac: key: {error}")))?;
    mac.update(data);
    Ok(Value::Bytes(mac.finalize().into_bytes().as_slice().into()))
}

fn unknown(function: &str, algorithm: &str) -> Exception {
    Exception::value_error(format!(
        "{function}: unknown algorithm {algorithm:?}; it takes MD5, SHA1, SHA224, SHA256, SHA384 and SHA512"
    ))
}
