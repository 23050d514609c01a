/// Text written at once, under its name only when complete.
public enum TextFile {
    /// - Parameter ownerOnly: whether others are kept from reading it: for all that is not covered by epsilon.
    /// - Throws: `DataError` if it cannot be written; an older file then stays.
    public static func write(_ text: String, to path: String, ownerOnly: Bool) throws(DataError) {
        let file = try AtomicFile(path: path, permissions: ownerOnly ? 0o600 : 0o666)
        try file.write(Array(text.utf8), at: 0)
        try file.commit()
    }
}
