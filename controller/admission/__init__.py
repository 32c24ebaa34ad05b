"""AdmissionReviews taken apart and answered, without any I/O."""
