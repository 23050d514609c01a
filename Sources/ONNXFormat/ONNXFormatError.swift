/// What is wrong with a model file, or why one could not be written.
public struct ONNXFormatError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// There is no file of that name.
        case missing
        /// The file exists but cannot be opened or read.
        case unreadable
        /// The bytes are not a well-formed ONNX model.
        case malformed
        /// The tensor's element type has no such values.
        case unsupportedType
        /// An external data file is missing, lies outside the model's folder, or is too short.
        case externalData
        /// The requested change names something that the model does not have.
        case invalidEdit
        /// The output cannot be created: no such folder, no permission, or it is one of the input files.
        case cannotCreate
        /// Writing failed half-way; nothing is left at the final name.
        case writeFailed
    }

    public let kind: Kind
    /// One line: what is wrong and what to do about it.
    public let message: String
    /// Where: the file, and inside it the node or tensor.
    public let place: String

    public init(_ kind: Kind, _ message: String, at place: String) {
        self.kind = kind
        self.message = message
        self.place = place
    }

    public var description: String { place.isEmpty ? message : "\(place): \(message)" }
}
