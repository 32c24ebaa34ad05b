-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

{"critical":{"identity":{"docker-reference":"registry.example.com/shop/web:1.4"},"image":{"docker-manifest-digest":"sha256:b22c7289dd3b4785a3795c90e15d16bd66bd29b444b8974fe29ed0443ce50405"},"type":"atomic container signature"},"optional":{"creator":"podman 5"}}
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQTyRtfoKUUl2qGqLMQak+fBgv6T0QUCawN0WwAKCRAak+fBgv6T
0SACAP4rhUjvWg9f9D1vUC/B4aoXYqGIT/ONrJFk7pmrrwrkAgEAxoo5X2E3kVft
F5xEovUT1fcmdvRPunZrp+6g7mPqTgY=
=13zY
-----END PGP SIGNATURE-----
