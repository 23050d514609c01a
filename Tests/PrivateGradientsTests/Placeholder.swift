import Testing

@Suite struct PrivateGradientsTestsPlaceholder {}
