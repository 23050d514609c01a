import Kernels

extension DataSet {
    /// A digest of all arrays under a secret key, as hexadecimal digits: equal for equal data in the same types, and of no
    /// use to whoever lacks the key. A plain hash would let anybody test whether a file that they have is this one.
    public func fingerprint(key secret: [UInt8]) -> String {
        var message: [UInt8] = []
        for key in keys {
            let array = self[key]
            let description = "\(key) \(array.type.rawValue) \(array.shape)\n"
            message += Array("\(description.utf8.count) \(description)".utf8)
            message += array.withUnsafeBytes { keyedDigest(of: $0, key: secret) }
        }
        let digest = message.withUnsafeBytes { keyedDigest(of: $0, key: secret) }
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
