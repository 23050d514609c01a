// PrivacyAccounting
