mod answers;
mod scene;
mod tokens;
