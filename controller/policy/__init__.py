"""Trust policies as people write them: the models, selectors, and the files and objects they come from."""
