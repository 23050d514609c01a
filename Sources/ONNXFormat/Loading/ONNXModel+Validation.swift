import COnnxProto

extension ONNXModel {
    func validate() throws(ONNXFormatError) {
        guard tree.root.pointee.graph != nil else {
            throw ONNXFormatError(.malformed, "the file holds no graph; it is not an ONNX model", at: displayName)
        }
        for tensor in TensorOccurrence.all(in: tree, file: displayName) {
            _ = try TensorStorage(tensor.pointer, external: externalFiles, at: tensor.place)
        }
    }
}
