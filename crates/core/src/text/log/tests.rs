use crate::text::tests::read;
