"""Understanding and search. Only the language process loads the models; everybody else asks it through `client`."""
