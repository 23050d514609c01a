import Glibc

extension LoadedModel {
    /// Makes sure, before any work is done, that `output` can be created and is not the model itself.
    /// - Throws: `ONNXFormatError` `cannotCreate`.
    public func refuseToOverwrite(_ output: String) throws(ONNXFormatError) {
        let folder = output.lastIndex(of: "/").map { $0 == output.startIndex ? "/" : String(output[..<$0]) } ?? "."
        var status = stat()
        guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw ONNXFormatError(.cannotCreate, "its folder does not exist; create it first", at: output)
        }
        guard access(folder, W_OK) == 0 else {
            throw ONNXFormatError(.cannotCreate, "its folder cannot be written to; choose another", at: output)
        }
        guard stat(output, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            throw ONNXFormatError(.cannotCreate, "is a folder; give the name of a file", at: output)
        }
        var own = stat()
        if let path = file.path, stat(path, &own) == 0, own.st_ino == status.st_ino, own.st_dev == status.st_dev {
            throw ONNXFormatError(
                .cannotCreate, "is the model itself, which is never changed; choose another", at: output)
        }
    }
}
