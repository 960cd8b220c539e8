//! An estimate of a value's encoded size by walking it: no text is written and nothing is allocated.

use std::fmt;

use serde::ser::{self, Serialize};

/// About how many bytes `value` takes as JSON; what cannot be walked counts as far as it went.
pub(super) fn estimate<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut size = Size(0);
    match value.serialize(&mut size) {
        Ok(()) | Err(Unwalkable) => size.0,
    }
}

const SCALAR: usize = 8;
const PUNCTUATION: usize = 2;

struct Size(usize);

#[derive(Debug)]
struct Unwalkable;

impl fmt::Display for Unwalkable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("value cannot be walked")
    }
}

impl std::error::Error for Unwalkable {}

impl ser::Error for Unwalkable {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Walked = Result<(), Unwalkable>;

impl Size {
    fn add(&mut self, bytes: usize) -> Walked {
        self.0 += bytes;
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, _: $type) -> Walked { self.add(SCALAR) })*
    };
}

impl ser::Serializer for &mut Size {
    type Ok = ();
    type Error = Unwalkable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char
    );

    fn serialize_str(self, text: &str) -> Walked {
        self.add(text.len() + PUNCTUATION)
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Walked {
        self.add(bytes.len() * 4)
    }
    fn serialize_none(self) -> Walked {
        self.add(SCALAR)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Walked {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Walked {
        self.add(SCALAR)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Walked {
        self.add(SCALAR)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Walked {
        self.add(variant.len() + PUNCTUATION)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Walked {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Walked {
        self.add(variant.len() + PUNCTUATION)?;
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Unwalkable> {
        Ok(self)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, Unwalkable> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unwalkable> {
        Ok(self)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Unwalkable> {
        self.add(variant.len() + PUNCTUATION)?;
        Ok(self)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Unwalkable> {
        Ok(self)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unwalkable> {
        Ok(self)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Unwalkable> {
        self.add(variant.len() + PUNCTUATION)?;
        Ok(self)
    }
}

macro_rules! sequences {
    ($($trait:ident: $method:ident),*) => {$(
        impl ser::$trait for &mut Size {
            type Ok = ();
            type Error = Unwalkable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
                self.add(PUNCTUATION)?;
                value.serialize(&mut **self)
            }

            fn end(self) -> Walked {
                Ok(())
            }
        }
    )*};
}

sequences!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

macro_rules! structs {
    ($($trait:ident),*) => {$(
        impl ser::$trait for &mut Size {
            type Ok = ();
            type Error = Unwalkable;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Walked {
                self.add(name.len() + PUNCTUATION)?;
                value.serialize(&mut **self)
            }

            fn end(self) -> Walked {
                Ok(())
            }
        }
    )*};
}

structs!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for &mut Size {
    type Ok = ();
    type Error = Unwalkable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Walked {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Walked {
        value.serialize(&mut **self)
    }

    fn end(self) -> Walked {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[test]
    fn a_text_counts_by_its_length_however_deep_it_stands() {
        let value = vec![Some(("x".repeat(10_000), 7_u8))];
        let encoded = serde_json::to_vec(&value).unwrap().len();
        let size = estimate(&value);
        assert!((encoded..encoded + 64).contains(&size), "{size} beside {encoded}");
    }
}
