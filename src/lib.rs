//! An embeddable SDK for building scalable agent runtimes.
