import Testing

@Suite struct PrivacyAccountingTestsPlaceholder {}
