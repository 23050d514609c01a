import COnnxProto
import Glibc

/// The external data files of a model, each mapped once.
struct ExternalFiles: Sendable {
    /// By normalised location.
    let mappings: [String: FileMapping]

    /// Maps every file that a tensor of the model refers to. Only regular files below the model's folder are opened:
    /// no component of the path may be a symbolic link, and the file must have one name, since a second hard link
    /// may lie anywhere.
    init(of tree: ProtoTree, folderOf path: String?) throws(ONNXFormatError) {
        var mappings: [String: FileMapping] = [:]
        for tensor in TensorOccurrence.all(in: tree, file: path ?? ONNXModel.inMemoryName)
        where ExternalReference.isExternal(tensor.pointer) {
            let reference = try ExternalReference(tensor.pointer, at: tensor.place)
            guard mappings[reference.location] == nil else { continue }
            guard let path else {
                throw ONNXFormatError(
                    .externalData, "a model in memory has no folder to hold external data '\(reference.location)'",
                    at: tensor.place)
            }
            mappings[reference.location] = try Self.open(
                reference.location, in: FilePath.folder(of: path), at: tensor.place)
        }
        self.mappings = mappings
    }

    /// The `size` bytes that a tensor refers to.
    func bytes(
        of reference: ExternalReference, size: Int, at place: @autoclosure () -> String
    ) throws(ONNXFormatError) -> UnsafeRawBufferPointer {
        guard let mapping = mappings[reference.location] else {
            throw ONNXFormatError(.externalData, "external data '\(reference.location)' are not open", at: place())
        }
        if let length = reference.length, length != size {
            throw ONNXFormatError(
                .externalData, "external data have length \(length), but type and shape need \(size) bytes",
                at: place())
        }
        guard reference.offset <= mapping.bytes.count, size <= mapping.bytes.count - reference.offset else {
            throw ONNXFormatError(
                .externalData,
                "external data reach past the end of '\(reference.location)': offset \(reference.offset) plus \(size) "
                    + "bytes of \(mapping.bytes.count)", at: place())
        }
        return UnsafeRawBufferPointer(rebasing: mapping.bytes[reference.offset..<reference.offset + size])
    }

    private static func open(
        _ location: String, in folder: String, at place: String
    ) throws(ONNXFormatError) -> FileMapping {
        var descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let components = location.split(separator: "/").map(String.init)
        for (index, component) in components.enumerated() where descriptor >= 0 {
            let isLast = index == components.count - 1
            let next = openat(
                descriptor, component, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (isLast ? O_NONBLOCK : O_DIRECTORY))
            let code = errno
            close(descriptor)
            errno = code
            descriptor = next
        }
        guard descriptor >= 0 else {
            let code = errno
            let why = code == ELOOP ? "a symbolic link is not followed; copy the file" : systemMessage(code)
            throw ONNXFormatError(.externalData, "cannot open external data '\(location)': \(why)", at: place)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ONNXFormatError(.externalData, "external data '\(location)' are not a regular file", at: place)
        }
        guard status.st_nlink <= 1 else {
            throw ONNXFormatError(
                .externalData,
                "external data '\(location)' have other hard links, perhaps outside the model's folder; copy the file",
                at: place)
        }
        return try FileMapping(descriptor: descriptor, status: status, name: "\(place), external data '\(location)'")
    }
}

/// Splitting of path names.
enum FilePath {
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func name(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    }
}
